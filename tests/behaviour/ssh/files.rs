//! Files on servers.

use std::os::unix::fs::PermissionsExt;

use tests::sshd::Sshd;
use windlass::ssh::{Remote, SshError};

use super::session;

#[tokio::test]
async fn a_file_arrives_whole_with_its_mode() {
    let Some(sshd) = Sshd::start("a_file_arrives_whole_with_its_mode") else { return };
    let path = sshd.folder().join("a file with 'quotes' $(and) more");
    let content: Vec<u8> = (0..=255).cycle().take(2_500_000).collect();
    let remote = session(sshd.access());
    std::fs::write(&path, "old").unwrap();
    remote.upload(path.to_str().unwrap(), &content, 0o640).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    let back = remote.download(path.to_str().unwrap(), content.len()).await.unwrap();
    assert_eq!(back, content);
    let names = std::fs::read_dir(sshd.folder()).unwrap().flatten();
    assert!(
        !names
            .map(|entry| entry.file_name())
            .any(|name| { name.to_string_lossy().starts_with(".windlass") })
    );
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_taken() {
    let Some(sshd) = Sshd::start("a_file_that_is_too_large_is_not_taken") else { return };
    let path = sshd.folder().join("large");
    std::fs::write(&path, [0; 1001]).unwrap();
    let remote = session(sshd.access());
    let error = remote.download(path.to_str().unwrap(), 1000).await.unwrap_err();
    assert!(matches!(error, SshError::TooLarge { limit: 1000, .. }), "{error}");
}

#[tokio::test]
async fn bad_paths_are_refused_with_a_reason() {
    let Some(sshd) = Sshd::start("bad_paths_are_refused_with_a_reason") else { return };
    let remote = session(sshd.access());
    let folder = sshd.folder().to_str().unwrap();
    let missing = format!("{folder}/no/such/file");
    for path in ["relative", "", "/etc/\nshadow", folder, &missing, "/tmp/x\0y"] {
        let error = remote.upload(path, b"x", 0o600).await.unwrap_err();
        assert!(matches!(error, SshError::Refused { .. }), "{path:?}: {error}");
        let error = remote.download(path, 10).await.unwrap_err();
        assert!(matches!(error, SshError::Refused { .. }), "{path:?}: {error}");
    }
}
