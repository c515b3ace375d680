//! The reaper pool (to come): for now there are no processes to end.

/// The pool.
#[derive(Debug)]
pub struct Pool;

impl Pool {
    /// A pool that starts reapers of this program.
    #[must_use]
    pub fn new(_program: std::path::PathBuf) -> Self {
        Self
    }
    /// Ends everything.
    pub async fn shutdown(&self) {
        std::future::ready(()).await;
    }
}
