use super::*;

#[test]
fn the_command_that_joins_names_the_same_remote() {
    let args = Args {
        remote: Some("s3://bucket/mem".to_owned()),
        user_id: None,
        device_name: Some("my laptop".to_owned()),
        join: false,
    };
    let again = "cogzy-vault init --remote s3://bucket/mem --device-name 'my laptop'";
    assert_eq!(args.again(false), again);
    assert_eq!(args.again(true), format!("{again} --join"));
    let failure = Failure::new(Exit::Offline, "").next("wait, then run `cogzy-vault sync` again");
    let next = args.proposing_itself(failure).next.unwrap();
    assert_eq!(next, format!("wait, then run `{again}` again"));
}
