//! The vault's own files are their owner's alone, whatever the umask, and none is made through a
//! link.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cogzy_client::local_vault::LocalVault;

use crate::support::daemon::Daemon;
use crate::support::process::Machine;

/// Names at or below a path that other users may look at, each with its mode.
fn open_to_others(path: &Path) -> Vec<(PathBuf, String)> {
    let meta = path.symlink_metadata().unwrap();
    let mode = meta.permissions().mode() & 0o777;
    let mut open = Vec::new();
    if mode & 0o077 != 0 {
        open.push((path.to_owned(), format!("{mode:o}")));
    }
    if meta.is_dir() {
        let below = std::fs::read_dir(path).unwrap();
        below.for_each(|entry| open.extend(open_to_others(&entry.unwrap().path())));
    }
    open
}

fn save(machine: &Machine, text: &str) {
    let vault = LocalVault::open(&machine.root).unwrap();
    let mut transaction = vault.transaction();
    for name in ["traces/a.json", "traces/b.json"] {
        transaction.file(name, text.as_bytes().to_vec()).unwrap();
    }
    transaction.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn our_folders_and_files_are_their_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name).with_umask("000"));
    for machine in [&one, &two] {
        machine.good(&["init"]).await;
    }
    let daemon = Daemon::start(&one).await;
    save(&one, "first");
    one.sync().await;
    two.sync().await;
    two.write("traces/a.json", "by two");
    two.sync().await;
    one.write("traces/a.json", "by one");
    one.sync().await;
    one.good(&["pause"]).await;
    assert_eq!(daemon.terminate().await.0, Some(0));
    for machine in [&one, &two] {
        let open: Vec<_> = ["sync", ".cogzy-vault"]
            .iter()
            .flat_map(|name| open_to_others(&machine.root.join(name)))
            // Displaced files keep the rights that their user gave them, behind our own folders.
            .filter(|(path, _)| path.is_dir() || !path.components().any(|part| part.as_os_str() == "files"))
            .collect();
        assert_eq!(open, []);
    }
    assert_eq!(open_to_others(&one.root.join("logs/cogzy-vault.log")), []);

    // Rights that an earlier version has left open.
    for (name, mode) in [("sync", 0o755), ("sync/cache.db", 0o644)] {
        std::fs::set_permissions(two.root.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    two.sync().await;
    let mode = |name: &str| two.root.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("sync"), mode("sync/cache.db")), (0o700, 0o600));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_is_made_through_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    for name in ["cache.db", "cache.db-wal", "cache.db-shm"] {
        let (place, target) = (machine.root.join("sync").join(name), folder.path().join(name));
        let _none_yet = std::fs::remove_file(&place);
        std::os::unix::fs::symlink(&target, &place).unwrap();
    }
    machine.write("traces/a.json", "a");
    machine.sync().await;
    for name in ["cache.db", "cache.db-wal", "cache.db-shm"] {
        assert!(!folder.path().join(name).exists(), "{name} was made through a link");
    }
    assert!(machine.root.join("sync/cache.db").symlink_metadata().unwrap().is_file());
}

#[tokio::test]
async fn a_configuration_that_others_can_write_runs_no_programs() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    let file = machine.home.join(".config/cogzy-vault/config.toml");
    let open = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    open(0o666);
    let doctor = machine.run(&["doctor"]).await;
    assert!(doctor.stdout.contains("other users can change it"), "{doctor:?}");
    machine.good(&["sync"]).await;
    machine.configure("[hooks]\non_error = [\"true\"]\n");
    for verb in ["sync", "run", "doctor"] {
        let ran = machine.run(&[verb]).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(format!("{ran:?}").contains("chmod o-w"), "{ran:?}");
    }
    open(0o600);
    machine.good(&["sync"]).await;
}

/// `init` remembers everything but the key: what is to stay here stays here from any shell.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_environment_excludes_at_init_is_not_sent_by_another_shell() {
    let folder = cogzy_testkit::fresh_folder();
    let mut machine = Machine::with_folder(folder.path(), "one");
    let settings = [
        ("COGZY_VAULT__FILTER__EXCLUDE", r#"["private/**"]"#),
        ("COGZY_VAULT__S3__PATH_STYLE", "true"),
        ("COGZY_VAULT__SYNC__BATCH_FILES", "7"),
    ];
    settings.iter().for_each(|(name, value)| machine.set(name, *value));
    machine.good(&["init"]).await;
    settings.iter().for_each(|(name, _)| drop(machine.variables.remove(*name)));
    machine.write("private/diary.md", "mine");
    machine.write("notes.md", "sent");
    assert_eq!(machine.sync().await["pushed"], 1);
    let shown = machine.good(&["config", "show"]).await.stdout;
    for line in shown
        .lines()
        .filter(|line| ["s3.path_style", "sync.batch_files"].iter().any(|key| line.contains(key)))
    {
        assert!(line.contains("config.toml"), "{line}");
    }
    // Once more changes nothing.
    let before = std::fs::read_to_string(machine.config_file()).unwrap();
    assert!(before.contains("batch_files = 7") && before.contains("path_style = true"), "{before}");
    machine.good(&["init"]).await;
    assert_eq!(std::fs::read_to_string(machine.config_file()).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exclusion_that_matches_nothing_is_refused() {
    let folder = cogzy_testkit::fresh_folder();
    let mut machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    let absolute = format!("{}/private/**", machine.root.display());
    for pattern in ["./private/**", "private//**", "~/private", absolute.as_str()] {
        machine.set("COGZY_VAULT__FILTER__EXCLUDE", format!("[{pattern:?}]"));
        machine.run(&["sync"]).await.expect(2, &["exclude", pattern]);
    }
    // Older versions took it, and have noted it.
    machine.set("COGZY_VAULT__FILTER__EXCLUDE", r#"["private/**"]"#.to_owned());
    machine.write("a.json", "{}");
    machine.sync().await;
    let record = machine.root.join("sync/last_sync.json");
    let noted = std::fs::read_to_string(&record).unwrap();
    let older = noted.replace("\"private/**\"", "\"./private/**\"");
    assert_ne!(older, noted);
    std::fs::write(&record, older).unwrap();
    machine.sync().await;
    assert!(std::fs::read_to_string(&record).unwrap().contains("\"private/**\""));
}
