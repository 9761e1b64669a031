//! SQLite databases that programs have open: what is sent is one consistent state, what is put in
//! place is seen by them, and nothing that stands beside a database is a file of the vault.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cogzy_testkit::{amount, fresh_folder};
use rusqlite::Connection;

use crate::formats::{beside_an_older_device, forget_what_devices_read};
use crate::main_path::{World, world};
use crate::support::process::Machine;
use crate::support::sqlite::{
    DB, ROLLBACK, WAL, add, count, losers, no_parts, open, pair, quiet, sharing, sound,
};

/// Most rounds in which a database is written while it is sent.
const ROUNDS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_wrote_the_later_gives_way_and_is_kept_as_a_whole_database() {
    for (setup_one, setup_two) in [(WAL, WAL), (ROLLBACK, ROLLBACK), (WAL, ROLLBACK)] {
        let (_folder, one, two, here) = sharing(setup_one, "common", 300).await;
        let there = open(&two.root.join(DB), setup_two);
        assert_eq!(count(&there, "common"), 300);
        // Both are open, and what was written may be in their WALs only.
        add(&here, "one", 400);
        here.execute("DELETE FROM t WHERE id % 3 = 0", []).unwrap();
        add(&there, "two", 200);
        one.sync().await;
        let report = two.sync().await;
        assert_eq!(report["conflicts"].as_array().unwrap().len(), 1, "{report}");
        one.sync().await;
        for program in [&here, &there, &sound(&one.root.join(DB)), &sound(&two.root.join(DB))] {
            assert_eq!((count(program, "two"), count(program, "one")), (0, count(&here, "one")));
        }
        let kept = losers(&two);
        assert_eq!(kept.len(), 1, "{kept:?}");
        let loser = sound(&kept[0]);
        assert_eq!((count(&loser, "common"), count(&loser, "two"), count(&loser, "one")), (300, 200, 0));
        add(&there, "later", 5);
        two.sync().await;
        one.sync().await;
        assert_eq!(count(&here, "later"), 5, "one that had it open sees what came");
        no_parts(&one).await;
        quiet([&one, &two]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_while_a_program_writes_is_a_state_that_it_committed() {
    for setup in [WAL, ROLLBACK] {
        let (_folder, one, two) = pair().await;
        let program = open(&one.root.join(DB), setup);
        add(&program, "n", 20);
        one.sync().await;
        let done = AtomicBool::new(false);
        let (start, begun) = std::sync::mpsc::channel();
        let mut seen = vec![0];
        std::thread::scope(|scope| {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    // The sum of two rows is always the same: half a transaction would show.
                    program.execute_batch("BEGIN IMMEDIATE").unwrap();
                    add_pair(&program);
                    program.execute_batch("COMMIT").unwrap();
                    let _nobody_waits_any_more = start.send(());
                }
            });
            begun.recv().unwrap();
            let both = async {
                for round in 1..=ROUNDS {
                    // While one writes, it may be busy at the moment of a scan: on a slow machine
                    // many times.
                    let ran = one.run(&["sync", "--json"]).await;
                    assert!(matches!(ran.code, Some(0 | 9)), "{ran:?}");
                    two.sync().await;
                    if two.root.join(DB).exists() {
                        let copy = sound(&two.root.join(DB));
                        let (rows, most): (i64, i64) = copy
                            .query_row("SELECT count(*), max(id) FROM t", [], |row| {
                                Ok((row.get(0)?, row.get(1)?))
                            })
                            .unwrap();
                        assert_eq!(rows, most, "rows are missing in the middle");
                        assert_eq!(rows % 2, 0, "half a transaction");
                        if seen.last() != Some(&rows) {
                            seen.push(rows);
                        }
                    }
                    if round >= amount(4, 8) && seen.len() > 2 {
                        break;
                    }
                }
            };
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(both));
            done.store(true, Ordering::Relaxed);
        });
        assert!(seen.is_sorted(), "{seen:?}");
        assert!(seen.len() > 2, "{setup}: nothing was sent while it was written: {seen:?}");
    }
}

fn add_pair(program: &Connection) {
    for number in 0..2 {
        let text = format!("n {number} {}", "y".repeat(900));
        program.execute("INSERT INTO t (x) VALUES (?1)", [text]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_at_rest_is_read_once_and_never_copied() {
    let World { mut one, mut two, .. } = world().await;
    let path = one.root.join("mem.db");
    let program = open(&path, WAL);
    add(&program, "n", 300);
    program.close().unwrap();
    assert!(!one.root.join("mem.db-wal").exists());
    one.sync().await;
    let opened = one.opened.take();
    let of_database = |opened: &[PathBuf], name: &str| {
        opened.iter().filter(|path| path.to_string_lossy().contains(name)).count()
    };
    assert!(of_database(&opened, "mem.db") > 0);
    assert_eq!(of_database(&opened, "snapshots-"), 0, "{opened:?}");
    one.sync().await;
    assert_eq!(of_database(&one.opened.take(), "mem.db"), 0, "it had not changed");

    // One that is open and not written to is copied once.
    let program = open(&path, WAL);
    add(&program, "more", 3);
    one.sync().await;
    assert!(of_database(&one.opened.take(), "snapshots-") > 0);
    one.sync().await;
    assert_eq!(of_database(&one.opened.take(), "snapshots-"), 0, "it had not changed");
    two.sync().await;
    assert_eq!(count(&sound(&two.root.join("mem.db")), "more"), 3);
    assert_eq!(std::fs::read_dir(one.root.join("sync/staging")).map_or(0, Iterator::count), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_have_it_open_see_what_is_pulled() {
    for setup in [WAL, ROLLBACK] {
        let (_folder, one, two, here) = sharing(setup, "first", 200).await;
        let [reader, writer] = [(); 2].map(|()| open(&two.root.join(DB), setup));
        let inode = |machine: &Machine| {
            use std::os::unix::fs::MetadataExt;
            std::fs::metadata(machine.root.join(DB)).unwrap().ino()
        };
        let before = inode(&two);
        add(&here, "second", 100);
        one.sync().await;
        if setup == WAL {
            // A reader goes on with the state that it began with.
            reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
            assert_eq!(count(&reader, "first"), 200);
        }
        assert_eq!(two.sync().await["pulled"], 1);
        if setup == WAL {
            assert_eq!(count(&reader, "second"), 0);
            reader.execute_batch("COMMIT").unwrap();
        }
        assert_eq!((count(&reader, "second"), count(&writer, "second")), (100, 100));
        assert_eq!(inode(&two), before, "programs would go on in a file that nobody sees");
        add(&writer, "third", 50);
        two.sync().await;
        one.sync().await;
        assert_eq!(count(&here, "third"), 50);
        drop(sound(&two.root.join(DB)));
        quiet([&one, &two]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_a_transaction_waits_and_is_named() {
    for setup in [WAL, ROLLBACK] {
        let (_folder, one, two, here) = sharing(setup, "first", 200).await;
        let writer = open(&two.root.join(DB), setup);
        add(&here, "second", 100);
        one.sync().await;
        writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t (x) VALUES ('mine 0')").unwrap();
        let ran = two.run(&["sync", "--json"]).await;
        let said = ran.json()["problems"].clone();
        assert_eq!(said[0]["path"], DB, "{said}");
        assert!(said[0]["message"].as_str().unwrap().contains("in use"), "{said}");
        writer.execute_batch("ROLLBACK").unwrap();
        assert_eq!(two.sync().await["pulled"], 1);
        assert_eq!(count(&writer, "second"), 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_a_crash_cut_short_is_not_sent() {
    let (_folder, one, two) = pair().await;
    let aside = one.home.join("aside.db");
    let program = open(&aside, "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1");
    add(&program, "good", 50);
    program.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 0..500 {
        program
            .execute("INSERT INTO t (x) VALUES (?1)", [format!("half {number} {}", "x".repeat(500))])
            .unwrap();
    }
    // Of a program that is killed here these two files are left, and no lock.
    for ending in ["", "-journal"] {
        let name = format!("{}{ending}", aside.display());
        std::fs::copy(name, one.root.join(format!("{DB}{ending}"))).unwrap();
    }
    one.sync().await;
    two.sync().await;
    let copy = sound(&two.root.join(DB));
    assert_eq!((count(&copy, "good"), count(&copy, "half")), (50, 0));
    let own = sound(&one.root.join(DB));
    assert_eq!((count(&own, "good"), count(&own, "half")), (50, 0));
    no_parts(&one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_known_by_its_head_and_other_files_by_their_names_are_files() {
    let (_folder, one, two) = pair().await;
    let texts = ["notes.db", "notes.db-wal", "notes.db-shm", "alone-journal"];
    for name in texts {
        one.write(name, format!("text of {name}"));
    }
    let odd = one.root.join("memory/no ending");
    let program = open(&odd, WAL);
    add(&program, "n", 10);
    one.sync().await;
    two.sync().await;
    for name in texts {
        assert_eq!(two.read(name), Some(format!("text of {name}").into_bytes()));
    }
    assert_eq!(count(&sound(&two.root.join("memory/no ending")), "n"), 10);
    let names: Vec<String> =
        two.files().into_keys().filter(|name| name.starts_with("memory/no ending-")).collect();
    assert!(!names.iter().any(|name| name.ends_with("-journal")), "{names:?}");
    quiet([&one, &two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_deleted_goes_with_all_that_stands_beside_it() {
    let (_folder, one, two) = pair().await;
    for other in ["a.json", "b.json"] {
        one.write(other, "{}");
    }
    let here = open(&one.root.join(DB), WAL);
    add(&here, "n", 100);
    one.sync().await;
    two.sync().await;
    let there = open(&two.root.join(DB), WAL);
    there.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
    here.close().unwrap();
    one.delete(DB);
    one.sync().await;
    let report = two.sync().await;
    assert_eq!(report["deleted_local"], 1, "{report}");
    for ending in ["", "-wal", "-shm"] {
        assert!(!two.root.join(format!("{DB}{ending}")).exists(), "{ending:?} is left");
    }
    drop(there);
    quiet([&one, &two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wal_that_was_synced_as_a_file_goes_with_the_commit_that_has_the_database() {
    let (_folder, one, two) = pair().await;
    let parts = [DB.to_owned(), format!("{DB}-wal")];
    // What older versions sent: two files.
    for part in &parts {
        one.write(part, "as older versions saw it");
    }
    one.sync().await;
    two.sync().await;
    parts.iter().for_each(|part| one.delete(part));
    let here = open(&one.root.join(DB), WAL);
    add(&here, "n", 100);
    let report = one.sync().await;
    assert_eq!(report["holds"].as_array().unwrap().len(), 0, "{report}");
    no_parts(&one).await;
    two.sync().await;
    assert!(!two.root.join(&parts[1]).exists());
    assert_eq!(count(&sound(&two.root.join(DB)), "n"), 100);
    quiet([&one, &two]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_use_waits_until_every_device_knows_what_stands_beside_it() {
    let folder = fresh_folder();
    let (old, new, aside) = beside_an_older_device(folder.path()).await;
    std::fs::create_dir_all(new.root.join("memory")).unwrap();
    let idle = open(&new.root.join("memory/idle.db"), ROLLBACK);
    add(&idle, "n", 5);
    let program = open(&new.root.join(DB), WAL);
    add(&program, "n", 5);
    let ran = new.run(&["sync", "--json"]).await;
    ran.expect(9, &[]);
    assert_eq!(ran.json()["pushed"], 1, "one that stands in one file is what older versions sent, too");
    let said = ran.json()["problems"][0].clone();
    assert_eq!(said["path"], DB);
    let message = said["message"].as_str().unwrap();
    assert!(message.contains("synced once old has cogzy-vault 0.2 or newer"), "{said}");
    let status = new.run(&["status"]).await;
    assert!(status.stdout.contains(DB), "{status:?}");

    for (place, kept) in aside {
        std::fs::rename(kept, place).unwrap();
    }
    assert_eq!(new.sync().await["pushed"], 1, "now that it says what it reads");
    old.sync().await;
    assert_eq!(count(&sound(&old.root.join(DB)), "n"), 5);
    // From now on the vault needs readers of databases: nothing waits any more.
    forget_what_devices_read(folder.path());
    add(&program, "more", 5);
    assert_eq!(new.sync().await["pushed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_killed_leaves_the_old_state_or_the_new_one() {
    let (_folder, one, two, here) = sharing(WAL, "n", 2000).await;
    let there = open(&two.root.join(DB), WAL);
    let mut total = count(&there, "n");
    for round in 0..10 {
        add(&here, "n", 300);
        one.sync().await;
        two.killed_at(Duration::from_millis(20 + 30 * round), &["sync"]).await;
        let seen = count(&sound(&two.root.join(DB)), "n");
        assert!(seen == total || seen == total + 300, "{seen} of {total} and 300");
        two.sync().await;
        total += 300;
        assert_eq!((count(&there, "n"), losers(&two).len()), (total, 0));
    }
    quiet([&one, &two]).await;
}
