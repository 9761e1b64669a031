//! A wish that the cycle which runs ends soon.

use tokio::sync::watch;

/// A wish that the cycle which runs ends soon; what it has done until then stays done. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Option<watch::Receiver<bool>>);

impl Interrupt {
    /// The wish as `receiver` sees it.
    #[must_use]
    pub const fn new(receiver: watch::Receiver<bool>) -> Self {
        Self(Some(receiver))
    }

    /// Waits until the wish is made.
    pub async fn wanted(&self) {
        if let Some(mut receiver) = self.0.clone()
            && receiver.wait_for(|wanted| *wanted).await.is_ok()
        {
            return;
        }
        // Nobody is left who could make it.
        std::future::pending::<()>().await;
    }
}
