//! The node: configuration, home, order of life, namespaces.
