//! A store that records requests and fails on demand.

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::remote::{Capabilities, Object, Page, RemoteError, RemoteErrorKind, Span};

#[derive(Debug, Clone, Default)]
pub(super) struct Faulty {
    pub store: MemoryRemote,
    seen: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    asked: Vec<String>,
    faults: Vec<(String, RemoteErrorKind)>,
    /// A key, and the number of reads that still give it with another bit flipped.
    flipped: Option<(String, usize)>,
    /// A key, and what reads of it give instead.
    replaced: Option<(String, Bytes)>,
    /// A key, and the number of listings that still omit it.
    hidden: Option<(String, usize)>,
}

impl Faulty {
    pub(super) fn over(store: &MemoryRemote) -> Self {
        Self { store: store.clone(), ..Self::default() }
    }

    /// Makes requests that begin with `what` (such as `get commits/`) fail from now on.
    pub(super) fn fail(&self, what: &str, kind: RemoteErrorKind) {
        self.seen.lock().unwrap().faults.push((what.to_owned(), kind));
    }

    /// Hides `key` from the next `listings` listings.
    pub(super) fn hide(&self, key: &str, listings: usize) {
        self.seen.lock().unwrap().hidden = Some((key.to_owned(), listings));
    }

    /// Flips a bit in the next `reads` of `key`, each time another one.
    pub(super) fn flip(&self, key: &str, reads: usize) {
        self.seen.lock().unwrap().flipped = Some((key.to_owned(), reads));
    }

    /// From now on all reads of `key` give these bytes, as something on the way may answer.
    pub(super) fn replace(&self, key: &str, answer: &'static str) {
        self.seen.lock().unwrap().replaced = Some((key.to_owned(), answer.into()));
    }

    pub(super) fn heal(&self) {
        let mut seen = self.seen.lock().unwrap();
        seen.faults.clear();
        seen.replaced = None;
    }

    /// Requests since the last call.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap().asked)
    }

    pub(super) async fn open(&self, cache: &Arc<MapCache>) -> Result<Option<Log>, LogError> {
        Log::open(Arc::new(self.clone()), Arc::clone(cache) as Arc<dyn ObjectCache>).await
    }

    /// Opens and refreshes the log, with an empty cache.
    pub(super) async fn opened(&self) -> Log {
        let mut log = self.open(&Arc::default()).await.unwrap().expect("the prefix holds a vault");
        log.refresh(Depth::Whole).await.unwrap();
        self.asked();
        log
    }

    fn ask(&self, operation: &'static str, key: &str) -> Result<(), RemoteError> {
        let request = format!("{operation} {key}");
        let mut seen = self.seen.lock().unwrap();
        let fault =
            seen.faults.iter().find(|(what, _)| request.starts_with(what.as_str())).map(|(_, kind)| *kind);
        seen.asked.push(request);
        fault.map_or(Ok(()), |kind| Err(RemoteError::new(kind, operation, key)))
    }
}

#[async_trait]
impl Remote for Faulty {
    fn url(&self) -> String {
        self.store.url()
    }
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        self.ask("put", key)?;
        self.store.put(key, body).await
    }
    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        self.ask("get", key)?;
        let mut bytes = self.store.get(key, span).await?;
        if let Some((_, answer)) = self.seen.lock().unwrap().replaced.as_ref().filter(|(name, _)| name == key)
        {
            bytes = answer.clone();
        }
        match &mut self.seen.lock().unwrap().flipped {
            Some((flipped, reads)) if flipped == key && *reads > 0 => {
                *reads -= 1;
                let mut bytes = bytes.to_vec();
                let at = bytes.len() - 1 - *reads;
                bytes[at] ^= 1;
                Ok(bytes.into())
            }
            _ => Ok(bytes),
        }
    }
    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        self.ask("head", key)?;
        self.store.head(key).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        self.ask("list", after.unwrap_or(prefix))?;
        let mut page = self.store.list(prefix, after).await?;
        if let Some((key, listings)) = &mut self.seen.lock().unwrap().hidden
            && *listings > 0
        {
            *listings -= 1;
            page.objects.retain(|object| object.key != *key);
        }
        Ok(page)
    }
    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.ask("delete", key)?;
        self.store.delete(key).await
    }
    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.store.server_ms().await
    }
}
