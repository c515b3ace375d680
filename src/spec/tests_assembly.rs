//! Files that use others, templates and routes: what they become, and what is refused.
