/** Figures of the SDK's core that the dashboard and the alerts ask for, with the labels that it gives them. */
const OF_QUEUE = ['namespace', 'task_queue', 'service_name'];

export const TEMPORAL_METRICS: Readonly<Record<string, readonly string[]>> = {
  temporal_worker_task_slots_available: [...OF_QUEUE, 'worker_type'],
  temporal_worker_task_slots_used: [...OF_QUEUE, 'worker_type'],
  temporal_num_pollers: [...OF_QUEUE, 'poller_type'],
  temporal_sticky_cache_size: OF_QUEUE,
  temporal_request_total: ['operation', 'service_name'],
  temporal_workflow_task_schedule_to_start_latency_seconds: OF_QUEUE,
  temporal_activity_schedule_to_start_latency_seconds: OF_QUEUE,
  temporal_workflow_completed_total: [...OF_QUEUE, 'workflow_type'],
};

/** Likewise, of what has no series until it happens. */
export const TEMPORAL_FAILURE_METRICS: Readonly<Record<string, readonly string[]>> = {
  temporal_workflow_task_execution_failed_total: [...OF_QUEUE, 'workflow_type', 'failure_reason'],
};
