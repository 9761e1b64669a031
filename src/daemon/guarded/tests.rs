use super::*;

async fn run(guarded: &Guarded, script: &str, input: &[u8]) -> (End, String) {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned);
    let program = Program { name: "cogzy-vault-test", argv: &argv, input, output: Stdio::piped() };
    let (end, said) = guarded.run(program).await;
    (end, String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_its_input_and_the_end_of_all_that_it_writes_is_kept() {
    let guarded = Guarded::new(Duration::from_secs(60), vec!["HOME".to_owned()]);
    let (end, said) = run(&guarded, "cat; echo \"${HOME-none}\" >&2; exit 3", b"in\n").await;
    assert!(matches!(end, End::Exit(status) if status.code() == Some(3)), "{end:?}");
    assert_eq!(said, "in\nnone\n");
    let (_, said) = run(&guarded, "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done", b"").await;
    assert!(said.len() == TAIL && said.ends_with("2998\n2999\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_takes_too_long_is_killed() {
    let (end, said) =
        run(&Guarded::new(Duration::from_millis(200), Vec::new()), "echo begun; sleep 60", b"").await;
    assert!(matches!(end, End::Late), "{end:?}");
    assert_eq!(said, "begun\n");
}

/// What a program leaves behind in a session of its own is not ended, and is not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_stays_open_is_not_waited_for() {
    let guarded = Guarded::new(Duration::from_secs(60), Vec::new());
    let script = "setsid sleep 5 & echo left";
    let (end, said) = tokio::time::timeout(Duration::from_secs(4), run(&guarded, script, b"")).await.unwrap();
    assert!(matches!(end, End::Exit(status) if status.success()), "{end:?}");
    assert_eq!(said, "left\n");
}
