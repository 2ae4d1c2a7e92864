/**
 * How the model is told of a tool, where the catalog says it at length: the same in fewer tokens. Parameters whose names say
 * it all have no description; formats, defaults and values stay. What the device gets is the catalog's.
 */
export interface ToolWording {
  readonly description?: string;
  /** Empty: the name says it. Null: the parameter is not told of, because no run can know its value. */
  readonly parameters?: Readonly<Record<string, string | null>>;
}

const NOTE_ID = { noteId: '' };
const GOAL_ID = { goalId: '' };

export const TOOL_WORDINGS: Readonly<Record<string, ToolWording>> = {
  create_task: {
    description: 'Adds a to-do without fixed times.',
    parameters: { title: '', dueDate: 'YYYY-MM-DD', priority: '', description: '' },
  },
  complete_task: { description: 'Marks a task as done.', parameters: { taskId: '' } },
  complete_tasks_by_title: {
    description: 'Marks all open tasks as done whose title contains the text.',
    parameters: { titleMatch: '' },
  },
  create_event: {
    description: 'Adds a calendar appointment with start and end.',
    parameters: {
      ...{ title: '', startTime: 'ISO 8601 with offset', endTime: '', isAllDay: '', location: '' },
      description: '',
    },
  },
  create_note: {
    description: 'Writes a new note, for what no existing note covers.',
    parameters: { title: '', content: 'Markdown' },
  },
  update_note: {
    description: 'Replaces title or text of a note; the old one is lost. To add, use append_to_note.',
    parameters: { ...NOTE_ID, title: '', content: 'the whole new text' },
  },
  append_to_note: {
    description: 'Adds text at the end of a note.',
    parameters: { ...NOTE_ID, content: '' },
  },
  add_tag_to_note: {
    description: 'Adds a hashtag to a note.',
    parameters: { ...NOTE_ID, tag: 'without #' },
  },
  pause_goal: { description: 'Puts an active goal on hold.', parameters: GOAL_ID },
  resume_goal: { description: 'Takes up a paused goal again.', parameters: GOAL_ID },
  complete_goal: { description: 'Closes a goal as achieved.', parameters: GOAL_ID },
  create_goal: {
    description:
      'Creates a goal: by template (tpl-water-daily, tpl-tasks-daily, tpl-meals-daily, tpl-calories-daily, tpl-places-weekly, tpl-coffee-limit), which needs nothing else, or of its own with title and eventType.',
    parameters: {
      ...{ templateId: '', title: '', description: '', targetValue: 'events per period', period: '' },
      ...{ comparison: 'gte: at least; lte: at most', moduleId: 'e.g. drink, todo, food, body' },
      eventType: 'e.g. DrinkLogged, TaskCompleted, MealLogged, WorkoutFinished',
    },
  },
  create_journal_entry: {
    description: 'Writes a journal entry: personal reflections.',
    parameters: { content: '', title: '', mood: 'if known' },
  },
  create_habit: {
    description: 'Sets up a new habit to track.',
    parameters: { title: '', icon: 'one emoji', color: '#RRGGBB' },
  },
  log_mood: {
    description: 'Records how the user feels now, by their own words.',
    parameters: { level: '1 (bad) to 10 (great)', emotion: '', activity: '', notes: '' },
  },
  save_news_article: {
    description: 'Saves a news article, found by research, to the reading list.',
    parameters: { url: '', title: '', summary: 'one sentence on why it matters' },
  },
  save_article: {
    description: 'Saves a web article to the reading list.',
    parameters: { url: '', title: '', reason: 'one sentence on why it is worth reading' },
  },
  research_news: {
    description: 'Has the app search news on a topic later.',
    parameters: { query: '', language: 'e.g. en, de', limit: '' },
  },
  create_contact: {
    description: 'Adds a person; fields that are unknown are left out.',
    parameters: { firstName: '', lastName: '', email: '', phone: '', company: '', notes: '' },
  },
  add_transaction: {
    description: 'Records income or an expense that the user reports.',
    parameters: {
      type: '',
      amount: 'euros, without sign',
      description: '',
      date: 'YYYY-MM-DD; default today',
    },
  },
  start_timer: { description: 'Starts tracking time.', parameters: { description: '', projectId: null } },
  stop_timer: { description: 'Stops the running timer and saves its time.' },
  create_place: {
    description: 'Saves a new place.',
    parameters: {
      ...{ name: '', latitude: '-90 to 90', longitude: '-180 to 180', category: '', address: '' },
    },
  },
  create_quiz: {
    description: 'Creates an empty quiz.',
    parameters: { title: '', description: '', category: 'e.g. Biology' },
  },
  create_library_entry: {
    description: 'Adds a book, film, series or comic to the library.',
    parameters: {
      ...{ kind: '', title: '', creators: 'comma-separated', year: '', status: 'default planned' },
      ...{ rating: '1 to 5, of completed ones', tags: 'comma-separated', genres: 'comma-separated' },
    },
  },
  create_draft: {
    description: 'Creates the briefing of a text that the app then writes.',
    parameters: {
      ...{ kind: '', title: '', topic: 'what it is about', audience: '', tone: '', styleId: null },
      ...{ language: 'ISO code; default de', targetWords: '', extraInstructions: '' },
    },
  },
  list_notes: {
    description: 'Lists notes with id, title and excerpt.',
    parameters: { limit: 'default 30, at most 100', query: 'text in title or content', includeArchived: '' },
  },
  list_tasks: {
    description: 'Lists tasks with id, title, due date and priority.',
    parameters: { filter: 'default open', limit: 'default 20' },
  },
  get_task_stats: { description: 'Counts tasks: total, completed, overdue, due today.' },
  get_todays_events: { description: "Lists today's appointments." },
  list_goals: { description: 'Lists goals with id, progress, target and status.' },
  get_goal_progress: { description: 'One goal in detail.', parameters: GOAL_ID },
};
