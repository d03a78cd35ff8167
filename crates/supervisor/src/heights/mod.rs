//! heights.
