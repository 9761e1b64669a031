//! An S3 server in this process, with one versioned bucket in memory, that can be told to
//! misbehave.
//!
//! Protocol, signatures and error documents are `s3s`'s own. It is versioned as B2 is: a PUT never
//! replaces a version, a DELETE without a version id hides, a DELETE with one frees; and it answers
//! 501 to conditional PUTs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cogzy_engine::remote::{BucketUrl, RemoteUrl};
use cogzy_s3::{KeyPair, S3Options, Secret};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3ErrorCode, S3Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

mod bucket;
mod quirk;
mod rights;

use bucket::Bucket;
pub use quirk::Quirk;
pub use rights::Rights;
use rights::Wish;

/// The bucket's name.
pub const BUCKET: &str = "test-bucket";
/// The one key id that is known.
pub const KEY_ID: &str = "test";
/// Its secret.
pub const SECRET: &str = "testsecret";

/// The fate of the answer to a PUT that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The connection breaks before it.
    Break,
    /// It is 500.
    Error,
}

/// The switches, and what has been asked so far. Operations have S3's names, such as `PutObject`.
#[derive(Debug, Default)]
struct Switches {
    forbidden: Vec<&'static str>,
    /// Rights of the key. All, unless set.
    rights: Option<Rights>,
    throttled: u32,
    retry_after: Option<u32>,
    losses: Vec<Loss>,
    requests: BTreeMap<String, u64>,
    stalled: bool,
    quirks: Vec<Quirk>,
    /// Told whenever one of these has changed by itself.
    happened: Arc<Notify>,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    bucket: Bucket,
    switches: Arc<Mutex<Switches>>,
    service: S3Service,
    accepting: JoinHandle<()>,
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl S3Server {
    /// Starts a server on a free port of the loopback interface.
    pub async fn start() -> Self {
        let (bucket, switches) = (Bucket::default(), Arc::<Mutex<Switches>>::default());
        let mut builder = S3ServiceBuilder::new(bucket.clone());
        builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        builder.set_access(Gate { switches: Arc::clone(&switches), bucket: bucket.clone() });
        let service = builder.build();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, service.clone(), Arc::clone(&switches)));
        Self { address, bucket, switches, service, accepting }
    }

    /// Goes away: connections break, and no new ones can be made.
    pub async fn go_away(&mut self) {
        self.accepting.abort();
        let _aborted = (&mut self.accepting).await;
    }

    /// Stays away until so many more connections have been tried.
    pub async fn is_missed(&self, connections: usize) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        for _ in 0..connections {
            let tried = tokio::time::timeout(Duration::from_secs(60), listener.accept()).await;
            drop(tried.expect("nobody tries any more").unwrap());
        }
    }

    /// Comes back where it was, with all that it had.
    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.accepting = tokio::spawn(accept(listener, self.service.clone(), Arc::clone(&self.switches)));
    }

    /// `http://host:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bucket's URL, below a prefix.
    pub fn url(&self, prefix: &str) -> BucketUrl {
        bucket_url(BUCKET, prefix)
    }

    /// Options that reach this server with its key.
    pub fn options(&self) -> S3Options {
        options(&self.endpoint(), KEY_ID, SECRET)
    }

    /// Behaves from now on as some stores do.
    pub fn play(&self, quirk: Quirk) {
        self.bucket.lock().counts_all_keys |= quirk == Quirk::TotalKeyCount;
        self.switches().quirks.push(quirk);
    }

    /// Takes an operation again.
    pub fn allow(&self, operation: &'static str) {
        self.switches().forbidden.retain(|forbidden| *forbidden != operation);
    }

    /// Refuses an operation with 403 from now on.
    pub fn forbid(&self, operation: &'static str) {
        self.switches().forbidden.push(operation);
    }

    /// Gives the key these rights, and no others.
    pub fn entitle(&self, rights: Rights) {
        self.switches().rights = Some(rights);
    }

    /// Answers the next `requests` with 503 `SlowDown`, asking to wait for `retry_after` seconds.
    pub fn throttle(&self, requests: u32, retry_after: Option<u32>) {
        let mut switches = self.switches();
        (switches.throttled, switches.retry_after) = (requests, retry_after);
    }

    /// Applies the next PUT, but loses its answer.
    pub fn lose_next_put(&self, how: Loss) {
        self.switches().losses.push(how);
    }

    /// Answers the next `puts` PUTs with 500, and applies them only at
    /// [`S3Server::release_late_puts`].
    pub fn delay_next_puts(&self, puts: usize) {
        self.bucket.lock().delayed = puts;
    }

    /// Applies the PUTs that were held back.
    pub fn release_late_puts(&self) {
        self.bucket.lock().release();
    }

    /// Leaves the objects of the newest `puts` PUTs out of listings, until it is set to 0 again.
    pub fn hide_newest(&self, puts: usize) {
        self.bucket.lock().stale = puts;
    }

    /// Has a rule by which nobody deletes an object for so many days.
    pub fn lock_objects_for(&self, days: i32) {
        self.bucket.lock().locked_days = Some(days);
        self.play(Quirk::WantsMd5);
    }

    /// Keeps only the newest version of a key from now on, as a bucket without versioning does.
    pub fn keep_no_versions(&self) {
        self.bucket.lock().unversioned = true;
    }

    /// Deletes this key of the bucket with no other ones from now on.
    pub fn lock_against_batches(&self, key: &str) {
        self.bucket.lock().undeletable.insert(key.to_owned());
    }

    /// Lists no more than so many versions on one page.
    pub fn list_versions_by(&self, page: usize) {
        self.bucket.lock().versions_page = Some(page);
    }

    /// Waits until all losses that were asked for have happened.
    pub async fn lost(&self) {
        self.until(|switches| switches.losses.is_empty()).await;
    }

    /// Takes in PUTs no further from now on, and answers none of them.
    pub fn stall(&self) {
        self.switches().stalled = true;
    }

    /// Goes on with the PUTs that are waiting, and with all others.
    pub fn resume(&self) {
        let mut switches = self.switches();
        switches.stalled = false;
        switches.happened.notify_waiters();
    }

    /// Waits until `puts` PUTs wait for an answer, or were given one.
    pub async fn asked_to_put(&self, puts: u64) {
        self.until(|switches| switches.requests.get("PUT").is_some_and(|count| *count >= puts)).await;
    }

    async fn until(&self, holds: impl Fn(&Switches) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(60), until(&self.switches, holds)).await;
        waited.expect("the server waits for what does not come");
    }

    /// Counts the requests for an operation that were signed with the right key.
    pub fn requests(&self, operation: &str) -> u64 {
        self.switches().requests.get(operation).copied().unwrap_or(0)
    }

    fn switches(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap()
    }
}

/// The URL of any bucket, below a prefix.
pub fn bucket_url(bucket: &str, prefix: &str) -> BucketUrl {
    match format!("s3://{bucket}/{prefix}").parse() {
        Ok(RemoteUrl::Bucket(url)) => url,
        other => panic!("{other:?}"),
    }
}

/// Options that reach any endpoint, with short patience.
pub fn options(endpoint: &str, id: &str, secret: &str) -> S3Options {
    S3Options {
        endpoint: Some(endpoint.to_owned()),
        region: Some("us-east-1".to_owned()),
        key: Some(KeyPair { id: Secret::new(id), secret: Secret::new(secret) }),
        connect_timeout: Duration::from_secs(5),
        operation_timeout: Duration::from_secs(20),
        ..S3Options::default()
    }
}

/// Its connections end with it.
async fn accept(listener: TcpListener, service: S3Service, switches: Arc<Mutex<Switches>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, service.clone(), Arc::clone(&switches)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, service: S3Service, switches: Arc<Mutex<Switches>>) {
    let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (service, switches) = (service.clone(), Arc::clone(&switches));
        async move {
            let put = request.method() == hyper::Method::PUT;
            let asked = quirk::Asked::of(&request);
            if put {
                note_put(&switches).await;
            }
            let answer =
                service.call(request.map(s3s::Body::from)).await.map_err(|error| format!("{error:?}"))?;
            let loss = if put { take_loss(&switches) } else { None };
            match loss {
                None => Ok(quirk::apply(&switches.lock().unwrap().quirks, &asked, answer)),
                Some(Loss::Error) => S3Error::new(S3ErrorCode::InternalError)
                    .to_http_response()
                    .map(quirk::boxed)
                    .map_err(|error| error.to_string()),
                // An error instead of an answer makes hyper close the connection.
                Some(Loss::Break) => Err("lost on purpose".to_owned()),
            }
        }
    });
    // The end of a connection does not matter here: the tests look at it from the client.
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
}

/// Waits until `holds` is true of the switches.
async fn until(switches: &Mutex<Switches>, holds: impl Fn(&Switches) -> bool) {
    let happened = Arc::clone(&switches.lock().unwrap().happened);
    loop {
        let mut again = std::pin::pin!(happened.notified());
        // From here on nothing that happens is missed.
        again.as_mut().enable();
        if holds(&switches.lock().unwrap()) {
            return;
        }
        again.await;
    }
}

/// Counts a PUT, and holds it while PUTs are stalled.
async fn note_put(switches: &Mutex<Switches>) {
    {
        let mut switches = switches.lock().unwrap();
        *switches.requests.entry("PUT".to_owned()).or_default() += 1;
        switches.happened.notify_waiters();
    }
    until(switches, |switches| !switches.stalled).await;
}

fn take_loss(switches: &Mutex<Switches>) -> Option<Loss> {
    let mut switches = switches.lock().unwrap();
    let loss = switches.losses.pop();
    switches.happened.notify_waiters();
    loss
}

/// Counts, throttles and forbids, once the signature has been found right.
struct Gate {
    switches: Arc<Mutex<Switches>>,
    bucket: Bucket,
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name();
        let key = context.s3_path().as_object().map(|(_, key)| key);
        let is_there = key.is_some_and(|key| self.bucket.lock().has(key));
        let mut switches = self.switches.lock().unwrap();
        *switches.requests.entry(operation.to_owned()).or_default() += 1;
        let wish = Wish { operation, key, uri: context.uri(), is_there };
        let is_entitled = switches.rights.as_ref().is_none_or(|rights| rights.allow(&wish));
        if context.credentials().is_none() || !is_entitled || switches.forbidden.contains(&operation) {
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "not entitled"));
        }
        if let Some(refusal) = quirk::refusal(&switches.quirks, operation, context.headers()) {
            return Err(refusal);
        }
        if switches.throttled > 0 {
            switches.throttled -= 1;
            let mut error = S3Error::with_message(S3ErrorCode::SlowDown, "Please reduce your request rate.");
            let headers = switches.retry_after.map(|seconds| (hyper::header::RETRY_AFTER, seconds.into()));
            error.set_headers(headers.into_iter().collect());
            return Err(error);
        }
        Ok(())
    }
}
