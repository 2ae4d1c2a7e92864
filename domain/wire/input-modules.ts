/** What a mission may name as an input, and which fields of it are encrypted (docs/platform.md section 2, second table). */
export interface InputModule {
  /** As missions name it; the first one where a table has two. */
  readonly name: string;
  readonly appId: string;
  readonly table: string;
  readonly encryptedFields: readonly string[];
  /** Plain fields worth telling the model; dotted names reach into objects. */
  readonly plainFields: readonly string[];
  /** False for what today's web app keeps on the device; records that come all the same are read. */
  readonly isSynced: boolean;
}

const tasks: InputModule = {
  name: 'tasks',
  appId: 'todo',
  table: 'tasks',
  encryptedFields: ['title', 'description', 'subtasks', 'metadata'],
  plainFields: ['isCompleted', 'dueDate', 'priority'],
  isSynced: true,
};

export const INPUT_MODULES: Readonly<Record<string, InputModule>> = {
  goals: {
    name: 'goals',
    appId: 'companion',
    table: 'companionGoals',
    encryptedFields: [],
    plainFields: ['title', 'currentValue', 'target.value', 'target.period'],
    isSynced: false,
  },
  notes: {
    name: 'notes',
    appId: 'notes',
    table: 'notes',
    encryptedFields: ['title', 'content'],
    plainFields: [],
    isSynced: true,
  },
  tasks,
  todo: tasks,
  calendar: {
    name: 'calendar',
    appId: 'calendar',
    table: 'events',
    encryptedFields: ['title', 'description', 'location'],
    // Of its time block, see `eventTimes`.
    plainFields: ['startDate', 'endDate', 'allDay', 'recurrenceRule', 'timeZone'],
    isSynced: true,
  },
  journal: {
    name: 'journal',
    appId: 'journal',
    table: 'journalEntries',
    encryptedFields: ['title', 'content'],
    plainFields: [],
    isSynced: true,
  },
  kontext: {
    name: 'kontext',
    appId: 'kontext',
    table: 'kontextDoc',
    encryptedFields: ['content'],
    plainFields: [],
    isSynced: true,
  },
  profile: {
    name: 'profile',
    appId: 'profile',
    table: 'userContext',
    encryptedFields: ['about', 'interests', 'routine', 'nutrition', 'leisure', 'goals', 'social', 'freeform'],
    plainFields: [],
    isSynced: true,
  },
};

/** The module that owns a table, or null: records of other tables are never read. */
export const inputModuleOfTable = (table: string): InputModule | null =>
  Object.values(INPUT_MODULES).find((module) => module.table === table) ?? null;
