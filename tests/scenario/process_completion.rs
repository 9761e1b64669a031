//! Completion in a real shell: the script finds the program by its name and asks it.

use std::path::Path;
use std::process::Stdio;

use cogzy_testkit::fresh_folder;
use tokio::process::Command;

use crate::support::process::Machine;

/// Words that bash would offer behind these.
async fn offered(machine: &Machine, words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let last = words.len() - 1;
    let script = format!(
        "source <(cogzy-vault completions bash)
        COMP_WORDS=({}) COMP_CWORD={last} COMP_TYPE=9
        function=$(complete -p cogzy-vault | sed -n 's/.*-F \\([^ ]*\\).*/\\1/p')
        \"$function\" cogzy-vault '{}' 2>/dev/null
        printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words[last]
    );
    let program = Path::new(env!("CARGO_BIN_EXE_cogzy-vault")).parent().unwrap();
    #[expect(clippy::disallowed_methods, reason = "bash is where the tests find it")]
    let others = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{others}", program.display());
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", &script]).env_clear().envs(&machine.variables).env("PATH", path);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn verbs_ids_generations_and_paths_are_completed() {
    let folder = fresh_folder();
    let [one, two] = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name));
    one.good(&["init"]).await;
    one.write("traces/a.json", "first");
    one.sync().await;
    two.good(&["init"]).await;
    two.sync().await;
    one.write("traces/a.json", "of one");
    one.sync().await;
    two.write("traces/a.json", "of two");
    let conflict = two.sync().await["conflicts"][0].as_str().unwrap()[..8].to_owned();
    let all = offered(&two, &["cogzy-vault", "re"]).await;
    assert!(
        ["reset", "restore", "resume", "retry"].iter().all(|verb| all.iter().any(|one| one == verb)),
        "{all:?}"
    );
    let generations = offered(&two, &["cogzy-vault", "restore", "--generation", ""]).await;
    assert!(generations.iter().any(|one| one == "2"), "{generations:?}");
    assert_eq!(offered(&two, &["cogzy-vault", "history", "tra"]).await, ["traces/"]);
    assert_eq!(offered(&two, &["cogzy-vault", "restore", "traces/"]).await, ["traces/a.json"]);
    let conflicts = offered(&two, &["cogzy-vault", "conflicts", "show", ""]).await;
    assert!(conflicts.iter().any(|one| one.starts_with(&conflict)), "{conflicts:?} {conflict}");
}
