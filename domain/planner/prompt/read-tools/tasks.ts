import { dayAt, dayOf, limitOf, text, textParam, time, type Reader, type ReadRequest } from './reader.ts';
import type { ReadableRecord } from '#domain/run/run-inputs.ts';

const DEFAULT_LIMIT = 20;

interface Task {
  readonly record: ReadableRecord;
  readonly isCompleted: boolean;
  readonly dueDay: string | null;
}

const isOverdue = ({ isCompleted, dueDay }: Task, today: string): boolean =>
  !isCompleted && dueDay !== null && dueDay < today;
const isDueToday = ({ isCompleted, dueDay }: Task, today: string): boolean =>
  !isCompleted && dueDay === today;

const FILTERS: Readonly<Record<string, (task: Task, today: string) => boolean>> = {
  open: (task) => !task.isCompleted,
  completed: (task) => task.isCompleted,
  overdue: isOverdue,
  today: isDueToday,
  all: () => true,
};

/** `list_tasks`: those with a date first, the earliest of them first. */
export const answerAboutTasks: Reader = (request) => {
  const filter = textParam(request.params['filter']) ?? 'open';
  const today = dayAt(request.nowMs, request.timeZone);
  const found = tasksOf(request)
    .filter((task) => FILTERS[filter]?.(task, today) ?? true)
    .sort((a, b) => ((a.dueDay ?? '~') < (b.dueDay ?? '~') ? -1 : 1));
  const entries = found
    .slice(0, limitOf(request.params['limit'], DEFAULT_LIMIT))
    .map(({ record, isCompleted }) => ({
      id: record.id,
      title: text(record, 'title'),
      dueDate: time(record, 'dueDate', request.timeZone),
      priority: text(record, 'priority'),
      isCompleted,
    }));
  return { facts: { filter, today, found: found.length }, entries };
};

/** `get_task_stats` */
export const answerTaskStats: Reader = (request) => {
  const today = dayAt(request.nowMs, request.timeZone);
  const tasks = tasksOf(request);
  const count = (holds: (task: Task, today: string) => boolean): number =>
    tasks.filter((task) => holds(task, today)).length;
  return {
    facts: {
      ...{ today, total: tasks.length, completed: count((task) => task.isCompleted) },
      ...{ overdue: count(isOverdue), dueToday: count(isDueToday) },
    },
  };
};

const tasksOf = ({ records, timeZone }: ReadRequest): Task[] =>
  records.map((record) => ({
    record,
    isCompleted: record.fields['isCompleted'] === true,
    dueDay: dayOf(record.fields['dueDate'], timeZone),
  }));
