//! telling.
