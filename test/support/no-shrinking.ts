import fc from 'fast-check';

/** For planted faults: that a property does not hold is enough, nobody reads the smallest story in which it does not. */
fc.configureGlobal({ endOnFailure: true });
