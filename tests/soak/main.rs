//! A soak: three machines with the real program, whose daemons are killed, on a network that delays
//! and cuts, for a chosen time. Then all is calm, and the test checks the invariants from outside.
//!
//!     cargo test --test soak -- --seconds 600 --seed 7
//!
//! The seed decides the acts and their order; the machine decides when they meet the daemons.

#![cfg(test)]

mod after;
mod proxy;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the scenarios use the rest")]
mod support;
mod users;

use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::model::Validate;
use cogzy_testkit::rng::Rng;
use cogzy_testkit::{amount, fresh_folder, is_left_out};

use proxy::{Proxy, Weather};
use support::daemon::Daemon;
use support::process::Machine;
use support::s3_server::S3Server;
use users::Users;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if is_left_out("soak", &args) {
        return;
    }
    let number = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let seconds = number("--seconds").unwrap_or_else(|| amount(5, 15));
    let seed = number("--seed").unwrap_or(1);
    println!("soak: {seconds} s with seed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(Duration::from_secs(seconds), seed));
}

/// A machine that does not wait long for anything.
fn hurried(folder: &std::path::Path, name: &str, server: &S3Server, proxy: &Proxy) -> Machine {
    let mut machine = Machine::with_server(folder, name, server);
    machine.groups(Validate::Enforce);
    machine.configure("[retry]\nschedule = [\"500ms\", \"1s\", \"1s\", \"2s\"]\n");
    machine.set("COGZY_VAULT__S3__ENDPOINT", format!("http://{}", proxy.address));
    for (key, value) in [
        ("SYNC__POLL_INTERVAL", "500ms"),
        ("SYNC__POLL_INTERVAL_ACTIVE", "200ms"),
        ("SYNC__BATCH_INTERVAL", "200ms"),
        ("S3__CONNECT_TIMEOUT", "2s"),
        ("S3__OPERATION_TIMEOUT", "5s"),
    ] {
        machine.set(&format!("COGZY_VAULT__{key}"), value);
    }
    machine
}

async fn run(time: Duration, seed: u64) {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let upstream = server.endpoint().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let proxy = Proxy::start(upstream, Rng::stream(seed, "proxy")).await;
    let machines: Vec<Machine> =
        ["one", "two", "three"].map(|name| hurried(folder.path(), name, &server, &proxy)).into();
    // No user deletes these, so that a trace that goes is never all that there is.
    (0..3).for_each(|number| machines[0].write(&format!("notes/{number}.txt"), "stays"));
    for machine in &machines {
        machine.good(&["init"]).await;
    }
    let mut rng = Rng::stream(seed, "what happens");
    let mut users = Users::new(machines.len());
    let mut daemons: Vec<Option<Daemon>> = Vec::new();
    for machine in &machines {
        daemons.push(Some(Daemon::start(machine).await));
    }
    let (clock, mut kills, mut steps) = (SystemClock::new(), 0, 0);
    let begun = clock.monotonic();
    while clock.monotonic() - begun < time {
        steps += 1;
        let at = rng.below(machines.len());
        match rng.below(100) {
            0..80 => users.act(&machines[at], at, &mut rng),
            80..90 => {
                // Also one that was killed and is started again: wherever it has come to.
                if let Some(daemon) = daemons[at].take() {
                    daemon.kill().await;
                    kills += 1;
                }
                if rng.chance(70) {
                    daemons[at] = Some(Daemon::start(&machines[at]).await);
                }
            }
            90..97 => proxy.set(match rng.below(5) {
                0 | 1 => Weather::Calm,
                2 => Weather::Slow(60),
                3 => Weather::Cuts(40),
                _ => Weather::Away,
            }),
            _ => {
                if let (None, false) = (&daemons[at], rng.chance(30)) {
                    let moment = Duration::from_millis(rng.number() % 1500);
                    kills += u64::from(users::killed_sync(&machines[at], moment).await);
                }
            }
        }
        // Users pause between their acts: a soak is real time, and asserts nothing of it.
        tokio::time::sleep(Duration::from_millis(rng.number() % 120)).await;
    }
    proxy.set(Weather::Calm);
    for daemon in daemons.into_iter().flatten() {
        assert_eq!(daemon.terminate().await.0, Some(0), "a daemon did not end well");
    }
    users.finish(&machines);
    println!(
        "{steps} steps, {} files written, {kills} kills, {} connections cut",
        users.written(),
        proxy.cut()
    );
    after::check(&machines, &server, &users).await;
}
