//! Keys with line ends, connections that die without a word, keys and disks that come later:
//! nothing of that ends the daemon, and what it says is true.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_testkit::fresh_folder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::daemon::{Daemon, Onlooker};
use crate::support::process::{Machine, PATIENCE};
use crate::support::s3_server::{KEY_ID, S3Server, SECRET};
use crate::support::socket;

/// The time within which a save is in the bucket once the network is back, with room for a busy
/// machine.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_line_end_in_a_key_is_cut_off_and_what_cannot_be_sent_is_refused_by_name() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    for (number, ids) in [
        [("AWS_ACCESS_KEY_ID", format!("{KEY_ID}\n")), ("AWS_SECRET_ACCESS_KEY", format!("{SECRET}\r\n"))],
        [("B2_APPLICATION_KEY_ID", format!("{KEY_ID}\r")), ("B2_APPLICATION_KEY", format!("{SECRET}\n"))],
        [("AWS_REGION", "us-east-1\n".to_owned()), ("AWS_SESSION_TOKEN", "\n".to_owned())],
    ]
    .into_iter()
    .enumerate()
    {
        let mut machine = Machine::with_server(folder.path(), &format!("good{number}"), &server);
        ids.into_iter().for_each(|(name, value)| machine.set(name, value));
        machine.good(&["init"]).await;
    }
    for (number, name) in
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "B2_APPLICATION_KEY_ID"]
            .iter()
            .enumerate()
    {
        let mut machine = Machine::with_server(folder.path(), &format!("bad{number}"), &server);
        machine.set("B2_APPLICATION_KEY", "key");
        machine.set("B2_APPLICATION_KEY_ID", "id");
        machine.set(name, "hid\nqqq");
        for verb in ["init", "doctor", "sync"] {
            let ran = machine.run(&[verb]).await;
            assert!(ran.code == Some(2) || verb == "sync" && ran.code != Some(101), "{ran:#?}");
            let told = format!("{}{}", ran.stdout, ran.stderr);
            assert!(!told.contains("qqq") && !told.contains("panicked"), "{ran:#?}");
            assert!(verb == "sync" || told.contains(name), "{ran:#?}");
        }
    }
}

/// The endpoint of the AWS tools is judged and used as the configuration's own.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_the_aws_tools_name_is_no_way_around_the_check() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    machine.variables.remove("COGZY_VAULT__S3__ENDPOINT");
    machine.set("AWS_ENDPOINT_URL_S3", "http://s3.example.com");
    for verb in ["init", "doctor"] {
        let ran = machine.run(&[verb]).await;
        let told = format!("{}{}", ran.stdout, ran.stderr);
        assert!(ran.code == Some(2) && told.contains("s3.insecure = true"), "{ran:#?}");
    }
    machine.variables.remove("AWS_ENDPOINT_URL_S3");
    let profile = "[default]\nservices = far\n[services far]\ns3 =\n  endpoint_url = http://s3.example.com\n";
    let file = machine.home.join("aws");
    std::fs::write(&file, profile).unwrap();
    machine.set("AWS_CONFIG_FILE", file.clone());
    machine.run(&["init"]).await.expect(2, &["s3.insecure = true"]);
    // A store on this machine gets the bucket's name in the path.
    machine.set("AWS_ENDPOINT_URL", server.endpoint());
    machine.good(&["init"]).await;
    machine.sync().await;
}

/// A proxy whose connections can fall silent, as they do when a machine sleeps or changes its
/// network.
struct Line {
    endpoint: String,
    dead: Arc<std::sync::Mutex<Vec<Arc<AtomicBool>>>>,
}

impl Line {
    async fn to(server: &S3Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let target = server.endpoint().replace("http://", "");
        let dead = Arc::<std::sync::Mutex<Vec<Arc<AtomicBool>>>>::default();
        let lines = Arc::clone(&dead);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let silent = Arc::new(AtomicBool::new(false));
                lines.lock().unwrap().push(Arc::clone(&silent));
                let store = TcpStream::connect(&target).await.unwrap();
                let ((client_in, client_out), (store_in, store_out)) =
                    (client.into_split(), store.into_split());
                tokio::spawn(pass(client_in, store_out, Arc::clone(&silent)));
                tokio::spawn(pass(store_in, client_out, silent));
            }
        });
        Self { endpoint, dead }
    }

    /// Lets all connections fall silent. New ones work.
    fn fall_silent(&self) {
        self.dead.lock().unwrap().iter().for_each(|silent| silent.store(true, Ordering::SeqCst));
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    silent: Arc<AtomicBool>,
) {
    let mut piece = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if !silent.load(Ordering::SeqCst) && to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
    if silent.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}

fn committed(machine: &Machine, path: &str) -> bool {
    String::from_utf8(machine.read("sync/manifest.json").unwrap_or_default()).unwrap().contains(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_without_a_word_holds_up_nothing() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let line = Line::to(&server).await;
    let machine = Machine::with_s3(folder.path(), "one", "s3://test-bucket/memory", line.endpoint.clone());
    machine.good(&["init"]).await;
    let daemon = Daemon::start(&machine).await;
    socket::until_state(&machine, "in-sync").await;
    line.fall_silent();
    let (clock, onlooker) = (SystemClock::new(), Onlooker::of(&machine.root));
    machine.write("traces/saved.json", "saved");
    assert!(onlooker.until(PATIENCE, || committed(&machine, "traces/saved.json")), "it was never sent");
    let took = clock.monotonic();
    assert!(took < SOON, "it took {took:?}");
    socket::until_state(&machine, "in-sync").await;
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_replaced_is_taken_up_without_a_restart() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    machine.variables.remove("AWS_ACCESS_KEY_ID");
    machine.variables.remove("AWS_SECRET_ACCESS_KEY");
    let keys = machine.home.join(".aws/credentials");
    std::fs::create_dir_all(keys.parent().unwrap()).unwrap();
    let write = |secret: &str| {
        let text = format!("[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {secret}\n");
        std::fs::write(&keys, text).unwrap();
    };
    write("the old one");
    let daemon = Daemon::start(&machine).await;
    let status = socket::until_state(&machine, "error").await;
    assert!(status["errors"][0]["next_retry"].is_string(), "{status}");
    write(SECRET);
    let clock = SystemClock::new();
    socket::until_state(&machine, "in-sync").await;
    assert!(clock.monotonic() < SOON, "a key file that changed is a reason to try at once");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_disk_that_is_away_is_waited_for() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    let (disk, away) = (folder.path().join("bucket"), folder.path().join("away"));
    std::fs::rename(&disk, &away).unwrap();
    let daemon = Daemon::start(&machine).await;
    let status = socket::until_state(&machine, "offline").await;
    assert!(status["errors"][0]["next_retry"].is_string(), "{status}");
    std::fs::rename(&away, &disk).unwrap();
    let clock = SystemClock::new();
    socket::until_state(&machine, "in-sync").await;
    assert!(clock.monotonic() < SOON, "a disk that is mounted is a reason to try at once");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_that_reaches_the_remote_says_that_the_daemon_does_not() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    machine.set("AWS_SECRET_ACCESS_KEY", "wrong");
    let daemon = Daemon::start(&machine).await;
    socket::until_state(&machine, "error").await;
    machine.set("AWS_SECRET_ACCESS_KEY", SECRET);
    let told = machine.run(&["doctor"]).await;
    assert_eq!(told.code, Some(9), "{told:#?}");
    assert!(told.stdout.contains("the daemon's last cycle did not go through"), "{told:#?}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_that_finds_nobody_says_to_run_the_same_init_again() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let machine = Machine::with_server(folder.path(), "one", &server);
    drop(server);
    let url = "s3://test-bucket/other";
    let again = format!("`cogzy-vault init --remote {url}`");
    machine.run(&["init", "--remote", url]).await.expect(3, &[again.as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_object_lock_is_written_to_and_the_doctor_says_what_it_means() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    server.lock_objects_for(30);
    let machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    machine.write("traces/a.json", "a");
    machine.sync().await;
    let told = machine.good(&["doctor"]).await;
    assert!(told.stdout.contains("in its first 30 days"), "{told:#?}");
}

/// Everything goes through a proxy that the environment names, plain requests too.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_asked_for_a_store_without_encryption() {
    let folder = fresh_folder();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = "http://store.invalid:9000".to_owned();
    let mut machine = Machine::with_s3(folder.path(), "one", "s3://test-bucket/memory", endpoint);
    machine.set("COGZY_VAULT__S3__INSECURE", "true");
    machine.set("HTTP_PROXY", format!("http://{}", proxy.local_addr().unwrap()));
    let asked = tokio::spawn(async move {
        let (mut stream, _) = proxy.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        let refusal = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(refusal.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    assert_ne!(machine.run(&["init"]).await.code, Some(0));
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("GET http://store.invalid:9000/test-bucket/"), "{asked}");
}
