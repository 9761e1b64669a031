//! The JSON of each document, pinned.

use super::*;
use crate::config::SettingSource;
use cogzy_engine::sync::Report;

fn pin(document: &impl Serialize, json: &str) {
    assert_eq!(serde_json::to_string(document).unwrap(), json);
}

const FILE: &str = "/c.toml";

fn standing() -> ServiceStatus {
    ServiceStatus {
        manager: "systemd",
        file: Some(FILE.into()),
        enabled: true,
        running: false,
        state: "failed".to_owned(),
        pid: None,
        linger: Some(false),
        command: Vec::new(),
    }
}

const STANDING: &str = r#"{"manager":"systemd","file":"/c.toml","enabled":true,"running":false,"state":"failed","pid":null,"linger":false}"#;

#[test]
fn documents_of_the_configuration_keep_their_form() {
    let (schema, file) = (SchemaVersion, Path::new(FILE));
    let shown = ShownKey { value: "\"me\"".to_owned(), source: SettingSource::Default };
    let keys = BTreeMap::from([("user_id", KeyDocument::from(&shown))]);
    let json = r#"{"schema":1,"file":"/c.toml","keys":{"user_id":{"value":"\"me\"","source":"default"}}}"#;
    pin(&ConfigDocument { schema, file, keys }, json);
    let json = r#"{"schema":1,"file":"/c.toml","file_exists":true}"#;
    pin(&ConfigPathDocument { schema, file, file_exists: true }, json);
    let json = r#"{"schema":1,"ok":true,"file":"/c.toml","file_exists":false}"#;
    pin(&ConfigCheckDocument { schema, ok: true, file, file_exists: false }, json);
}

#[test]
fn documents_of_init_keep_their_form() {
    let (schema, vault, device) = (SchemaVersion, VaultId::from_bytes([1; 16]), DeviceId::from_bytes([2; 8]));
    let document = InitDocument {
        schema,
        joined: true,
        created: false,
        vault,
        device,
        generation: 7,
        remote: "b2://bucket",
        config: Path::new(FILE),
        rolled_back: false,
        warnings: &[],
    };
    pin(
        &document,
        r#"{"schema":1,"joined":true,"created":false,"vault":"01010101010101010101010101010101","device":"0202020202020202","generation":7,"remote":"b2://bucket","config":"/c.toml"}"#,
    );
    let meets = MeetsDocument { same: 1, differing: 2, local_only: 3, remote_only: 4 };
    pin(
        &MeetingDocument { schema, joined: false, vault, meets },
        r#"{"schema":1,"joined":false,"vault":"01010101010101010101010101010101","meets":{"same":1,"differing":2,"local_only":3,"remote_only":4}}"#,
    );
}

#[test]
fn documents_of_export_and_import_keep_their_form() {
    let schema = SchemaVersion;
    let exported = Exported { generation: 7, files: 1, bytes: 2, ..Exported::default() };
    pin(
        &ExportDocument { schema, exported: &exported, to: Path::new("/to") },
        r#"{"schema":1,"exported":{"generation":7,"files":1,"bytes":2},"to":"/to"}"#,
    );
    let sync = SyncDocument::from(&Report::default());
    let document =
        ImportDocument { schema, files: 1, bytes: 2, skipped: &["logs/x".to_owned()], sync: &sync };
    let sync = serde_json::to_string(&sync).unwrap();
    pin(&document, &format!(r#"{{"schema":1,"files":1,"bytes":2,"skipped":["logs/x"],"sync":{sync}}}"#));
}

#[test]
fn documents_of_the_service_keep_their_form() {
    let (schema, standing) = (SchemaVersion, standing());
    let json = format!(r#"{{"schema":1,"service":{STANDING}}}"#);
    pin(&ServiceDocument { schema, service: &standing, keeps_another: None }, &json);
    let json = format!(r#"{{"schema":1,"service":{STANDING},"keeps_another":"/v"}}"#);
    pin(&ServiceDocument { schema, service: &standing, keeps_another: Some(Path::new("/v")) }, &json);
    let not_seen = NotSeenDocument {
        settings: &["user_id"],
        credentials: &["AWS_PROFILE".to_owned()],
        network: &["HTTPS_PROXY".to_owned()],
    };
    let (file, service) = (Path::new(FILE), &standing);
    pin(
        &InstallDocument { schema, installed: true, file, written: true, service, not_seen },
        &format!(
            r#"{{"schema":1,"installed":true,"file":"/c.toml","written":true,"service":{STANDING},"not_seen":{{"settings":["user_id"],"credentials":["AWS_PROFILE"],"network":["HTTPS_PROXY"]}}}}"#
        ),
    );
    let json = r#"{"schema":1,"installed":false,"removed":null}"#;
    pin(&UninstallDocument { schema, installed: false, removed: None }, json);
    pin(&StoppedDocument { schema, running: false }, r#"{"schema":1,"running":false}"#);
}

#[test]
fn documents_of_the_other_verbs_keep_their_form() {
    let schema = SchemaVersion;
    pin(&RetryDocument { schema, retrying: true }, r#"{"schema":1,"retrying":true}"#);
    pin(&PageDocument { schema, page: ".TH" }, r#"{"schema":1,"page":".TH"}"#);
    pin(&ScriptDocument { schema, script: "x" }, r#"{"schema":1,"script":"x"}"#);
}
