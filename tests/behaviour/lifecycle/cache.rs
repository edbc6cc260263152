//! Compiled code on disk: it belongs to its owner alone, and what is not as it was written is
//! compiled again. Nothing that happens to it fails a job.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use tests::echo::{self, ran};
use tests::host_process::{Options, TestHost};

/// What somebody does to a file.
type Damage = fn(&Path);

/// A host that keeps compiled code in this folder, which others do not use.
async fn host(cache: &Path) -> TestHost {
    let variable = ("WINDLASS_CACHE".to_owned(), cache.to_str().unwrap().to_owned());
    TestHost::start_with(Options { environment: vec![variable] }).await
}

/// The file with the compiled code of this version.
fn code(cache: &Path, digest: &str) -> PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    let entries = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    let mut found =
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().contains(hex));
    let file = found.next().unwrap();
    assert!(found.next().is_none(), "one file for one version");
    file
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// In the middle of the code a byte is another.
fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn cut(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

fn empty(file: &Path) {
    fs::write(file, b"").unwrap();
}

/// Others could have written what is in it, though it is as it was.
fn open_to_all(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap();
}

#[tokio::test]
async fn code_that_is_not_as_it_was_written_is_compiled_again_and_fails_no_job() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("code");
    let mut host = host(&cache).await;
    let digest = host.add_echo(echo::version(1)).await;
    let file = code(&cache, &digest);
    assert_eq!((mode(&cache), mode(&file)), (0o700, 0o600));
    let damages: [(&str, Damage); 4] =
        [("flip", flip), ("cut", cut), ("empty", empty), ("open-to-all", open_to_all)];
    for (name, damage) in damages {
        host.crash();
        let good = fs::read(&file).unwrap();
        damage(&file);
        host.restart().await;
        assert_eq!(ran(&host.echo(name).await), ("7.7.1", digest.as_str()), "{name}");
        assert_eq!((fs::read(&file).unwrap() == good, mode(&file)), (true, 0o600), "{name}");
    }
    host.crash();
    fs::remove_dir_all(&cache).unwrap();
    host.restart().await;
    assert_eq!(ran(&host.echo("none").await).0, "7.7.1");
    assert_eq!(mode(&code(&cache, &digest)), 0o600);
}

#[tokio::test]
async fn the_first_jobs_of_a_host_have_their_plugin_compiled_once_and_not_in_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder.path().join("code")).await;
    let before = host.resident();
    let servers: Vec<String> = (0..12).map(|number| format!("web-{number}")).collect();
    let jobs = join_all(servers.iter().map(|name| host.create_server(name))).await;
    join_all(jobs.iter().map(|job| host.wait_for(job, "completed"))).await;
    let grown = host.resident().saturating_sub(before) / (1024 * 1024);
    println!("{grown} MB more than before");
    // 14 MB were counted, some of them pages of the program; 28 where the host itself compiled once,
    // and over 80 where it did so for each job.
    assert!(grown < 25, "{grown} MB more than before");
}
