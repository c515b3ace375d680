//! Behaviour: the pure state machine that decides what a run does next.
