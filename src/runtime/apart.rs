//! Work that may take long, away from the thread that the engine shares with everything that waits.

use crate::model::completion::{Failure, FailureClass};

/// Does it on a thread of its own.
///
/// # Errors
/// If upbeat itself breaks at it; nobody else is harmed.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Failure::new(FailureClass::Permanent, "upbeat broke at this; please report it"))
}
