/**
 * How often the SDK tells the server that an activity lives, and hears that it was cancelled; what is told in between waits. By itself
 * it would let four fifths of the timeout pass, and a server that hesitates for the rest would have every call of the model asked again.
 */
export const HEARTBEAT_INTERVAL = '10s';
