//! A rotation of the vault's key that is killed, as often as it takes to have been killed nearly
//! everywhere: afterwards one key opens everything.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tests::host_process::program;
use tests::workshop::Workshop;
use windlass::vault::source::Source;

use super::{adopt, values, values_by};

/// How often a rotation is killed.
const KILLS: u32 = 30;

fn begin(home: &Path, more: &[&str]) -> Child {
    let mut command = program();
    command.args(["vault", "rotate", "--home"]).arg(home).args(more);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills a rotation after so long; answers whether it was still at work.
fn kill_after(mut rotation: Child, delay: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < delay {
        std::thread::yield_now();
    }
    rotation.kill().unwrap();
    !rotation.wait().unwrap().success()
}

/// A home with some secrets and no host.
async fn home_with_secrets() -> Workshop {
    let mut workshop = Workshop::open().await;
    workshop.create_server("web-1").await;
    workshop.run_on("web-1", "uses-secrets").await;
    workshop.stop().await;
    workshop
}

/// How long a rotation of a copy takes when nobody kills it, the second time.
fn measured(home: &Path, more: &[&str]) -> Duration {
    let measure = || {
        let copy = tempfile::tempdir().unwrap();
        adopt(home, copy.path());
        let began = Instant::now();
        assert!(begin(copy.path(), more).wait().unwrap().success());
        began.elapsed()
    };
    measure().min(measure())
}

#[tokio::test]
async fn a_rotation_that_is_killed_anywhere_loses_nothing() {
    let workshop = home_with_secrets().await;
    let home = workshop.home();
    let before = values(home).await;
    assert!(before.len() >= 4, "{before:?}");
    let whole = measured(home, &[]);
    let key = home.join("key");
    let (mut killed, mut old, mut new) = (0, 0, 0);
    for kill in 0..KILLS {
        let key_before = std::fs::read(&key).unwrap();
        let delay = whole * kill * 3 / (KILLS * 2);
        killed += u32::from(kill_after(begin(home, &[]), delay));
        // As the next start of a host does it: with whichever key is the one.
        assert_eq!(values(home).await, before, "killed after {delay:?} of {whole:?}");
        let is_old = std::fs::read(&key).unwrap() == key_before;
        *(if is_old { &mut old } else { &mut new }) += 1;
        assert!(!home.join("key.next").exists());
    }
    println!("{killed} of {KILLS} were killed at work; {old} kept the old key, {new} have the new");
    assert!(killed >= KILLS / 4 && old > 0 && new > 0, "{killed} killed, {old} old, {new} new");
}

#[tokio::test]
async fn a_change_to_a_passphrase_that_is_killed_anywhere_leaves_one_of_the_two() {
    let workshop = home_with_secrets().await;
    let home = workshop.home();
    let before = values(home).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "correct horse battery\n").unwrap();
    let to = ["--new-passphrase-file", file.path().to_str().unwrap()];
    let whole = measured(home, &to);
    let passphrase = Source::Passphrase(SecretString::from("correct horse battery"));
    let mut kept_key = 0;
    for kill in 0..KILLS + 6 {
        // Most of it is the work on the passphrase, before anything is written: look at the end. On
        // a machine that became busy since it was measured, the end is later.
        let late = whole * 2_u32.pow((kill + 1).saturating_sub(KILLS));
        let delay = late / 2 + whole * kill.min(KILLS) / KILLS;
        kill_after(begin(home, &to), delay);
        let by_key = values_by(home, &Source::File).await;
        match by_key {
            Ok(found) => assert_eq!(found, before),
            Err(_) => {
                assert_eq!(values_by(home, &passphrase).await.unwrap(), before);
                println!("{kept_key} kills left the key file, and then the passphrase was the one");
                return;
            }
        }
        kept_key += 1;
    }
    panic!("{kept_key} kills left the key file, the last of them after it was over");
}
