//! Arguments that try to be more than arguments, on a real sshd.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::json;
use tests::sshd::Sshd;
use tests::workshop::{Workshop, result};
use windlass::storage::ServerChange;

/// Names of files that a shell would take for more than a name.
const NAMES: [&str; 16] = [
    "it's",
    "a\"b",
    "a b",
    "a;touch pwned",
    "a&&touch pwned",
    "a|touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "${IFS}",
    "-rf",
    "--help",
    "*",
    "~",
    "%s%n",
    "\\",
    "naïve 文件",
];

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_path_is_a_path_and_never_a_command() {
    let Some(sshd) = Sshd::start("a_path_is_a_path_and_never_a_command") else { return };
    let workshop = Workshop::open().await;
    workshop.add_machine("web-1", &sshd).await;
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<String> =
        NAMES.iter().map(|name| format!("{}/{name}", folder.path().display())).collect();
    let what = json!({ "paths": paths });
    let job = workshop.submit_with("web-1", "writes-and-reads", what).await;
    let job = workshop.finished(&job).await;
    assert_eq!(result(&job)["read"], json!(paths), "each file has its own path in it");
    let expected: BTreeSet<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(files(folder.path()), expected);
}

#[tokio::test]
async fn what_is_no_path_is_refused_with_a_sentence() {
    let Some(sshd) = Sshd::start("what_is_no_path_is_refused_with_a_sentence") else { return };
    let workshop = Workshop::open().await;
    workshop.add_machine("web-1", &sshd).await;
    let long = format!("/{}", "a".repeat(5_000));
    let paths = ["", "relative", "/tmp/a\nb", "/tmp/a\u{0}b", "/tmp/a\n", "/tmp/", &long];
    let what = json!({ "paths": paths });
    let job = workshop.submit_with("web-1", "writes-and-reads", what).await;
    let said = result(&workshop.finished(&job).await)["read"].clone();
    let codes: Vec<&str> = said.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(codes, ["refused"; 7]);
}

#[tokio::test]
async fn a_server_is_named_by_a_name_and_by_nothing_else() {
    let workshop = Workshop::open().await;
    let names = ["web-1;reboot", "web-1\n", "../web-1", "$(id)", "", "WEB-1", "-oProxyCommand=id"];
    for name in names {
        let params = json!({ "how": "touches", "server": name });
        let job = workshop.submit_job("misbehaves", params, None, ServerChange::None).await;
        let said = result(&workshop.finished(&job).await)["code"].clone();
        assert_eq!(said, "invalid_argument", "{name:?}");
    }
}
