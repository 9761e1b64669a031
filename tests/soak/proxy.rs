//! A proxy between the daemons and their bucket: it delays, cuts, and is away for a while.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cogzy_testkit::rng::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The state of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Calm,
    /// Everything takes up to so many milliseconds longer.
    Slow(u64),
    /// One in so many pieces is not passed on: the connection breaks there.
    Cuts(usize),
    /// No connection comes through.
    Away,
}

#[derive(Debug)]
struct State {
    weather: Weather,
    rng: Rng,
    cut: u64,
}

/// A running proxy; it ends when dropped.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// In front of `server`, an address of this machine.
    pub async fn start(server: String, rng: Rng) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { weather: Weather::Calm, rng, cut: 0 }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    pub fn set(&self, weather: Weather) {
        self.state.lock().unwrap().weather = weather;
    }

    /// Connections that were broken so far.
    pub fn cut(&self) -> u64 {
        self.state.lock().unwrap().cut
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: TcpStream, server: String, state: Arc<Mutex<State>>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
    // When one direction ends, so does the connection.
    tokio::select! {
        () = pump(client_in, server_out, &state) => {}
        () = pump(server_in, client_out, &state) => {}
    }
}

async fn pump(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, state: &Mutex<State>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let Some(delay) = passes(state) else { return };
        // The line's own delay.
        tokio::time::sleep(delay).await;
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Time after which a piece goes on. None if the connection breaks.
fn passes(state: &Mutex<State>) -> Option<Duration> {
    let State { weather, rng, cut } = &mut *state.lock().unwrap();
    let (passes, millis) = match *weather {
        Weather::Calm => (true, 0),
        Weather::Slow(most) => (true, rng.number() % most),
        Weather::Cuts(many) => (!rng.one_in(many), 0),
        Weather::Away => (false, 0),
    };
    *cut += u64::from(!passes);
    passes.then(|| Duration::from_millis(millis))
}
