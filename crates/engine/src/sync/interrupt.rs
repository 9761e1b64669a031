//! A request that the running cycle end soon.

use tokio::sync::watch;

/// A request that the running cycle end soon; finished steps stay done. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Option<watch::Receiver<bool>>);

impl Interrupt {
    /// The request as `receiver` sees it.
    #[must_use]
    pub const fn new(receiver: watch::Receiver<bool>) -> Self {
        Self(Some(receiver))
    }

    /// Waits until the request is made.
    pub async fn wanted(&self) {
        if let Some(mut receiver) = self.0.clone()
            && receiver.wait_for(|wanted| *wanted).await.is_ok()
        {
            return;
        }
        // No sender is left that could make it.
        std::future::pending::<()>().await;
    }
}
