//! The docker provider and the lab's machines.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tests::lab::Lab;
use windlass::providers::docker::Docker;
use windlass::providers::{Boot, NewMachine, Provider};
use windlass::ssh::Remote;
use windlass::ssh::connection::Access;
use windlass::ssh::keys::KeyPair;

use super::{Lines, command, receipt, session};

#[tokio::test]
async fn an_engine_that_is_not_there_is_named() {
    let docker = Docker::new(Some("/nowhere/docker.sock".to_owned())).unwrap();
    let error = docker.verify().await.unwrap_err().to_string();
    assert!(error.contains("/nowhere/docker.sock does not answer"), "{error}");
}

#[tokio::test]
async fn a_docker_server_is_made_found_used_and_deleted() {
    let Some(lab) = Lab::shared("a_docker_server_is_made_found_used_and_deleted") else { return };
    let docker = Docker::new(Some(lab.socket().to_owned())).unwrap();
    docker.verify().await.unwrap();
    let (login, host) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let wanted = NewMachine {
        name: "docker-1".parse().unwrap(),
        identity: receipt(),
        server_type: "small".to_owned(),
        region: "local".to_owned(),
        image: "debian-12".to_owned(),
        ssh_keys: Vec::new(),
        boot: Boot {
            authorized_key: login.public_line(),
            host_key: host.private_pem().unwrap(),
            host_key_public: host.public_line(),
        },
    };
    assert_eq!(docker.find_server(&wanted.identity, &wanted.name).await.unwrap(), None);
    let made = docker.create_server(&wanted).await.unwrap();
    assert_eq!(docker.create_server(&wanted).await.unwrap().id, made.id);
    assert_eq!(
        docker.find_server(&wanted.identity, &wanted.name).await.unwrap().unwrap().id,
        made.id
    );
    let other = NewMachine { identity: receipt(), ..wanted.clone() };
    assert!(docker.create_server(&other).await.is_err(), "another's name was taken over");
    let unknown = NewMachine { image: "beos".to_owned(), ..other };
    let error = docker.create_server(&unknown).await.unwrap_err().to_string();
    assert!(error.contains("use one of debian-12"), "{error}");
    let running = docker.wait_running(&made.id, &[], Duration::from_secs(30)).await.unwrap();
    let remote = session(Access {
        user: "root".to_owned(),
        address: running.ipv4.unwrap().to_string(),
        port: running.ssh_port,
        key: login.private_pem().unwrap(),
        host_key_fingerprint: host.fingerprint(),
    });
    remote.wait_ready(Duration::from_secs(60), &|_| {}).await.unwrap();
    let output = remote.exec(command("hostname; stat -c '%a %u' /root/.ssh/authorized_keys")).await;
    assert_eq!(output.unwrap().stdout, "docker-1\n600 0\n");
    docker.delete_server(&made.id).await.unwrap();
    docker.delete_server(&made.id).await.unwrap();
    assert_eq!(docker.find_server(&wanted.identity, &wanted.name).await.unwrap(), None);
}

#[tokio::test]
async fn a_lab_machine_boots_with_a_real_cloud_init() {
    let began = Instant::now();
    let Some(lab) = Lab::shared("a_lab_machine_boots_with_a_real_cloud_init") else { return };
    println!("the lab took {:?}", began.elapsed());
    let (login, host) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let private = host.private_pem().unwrap();
    let private = private.expose_secret().replace('\n', "\n    ");
    let user_data = format!(
        "#cloud-config\ndisable_root: false\nssh_authorized_keys: [\"{}\"]\nssh_deletekeys: true\n\
         ssh_keys:\n  ed25519_private: |\n    {private}\n  ed25519_public: \"{}\"\n\
         runcmd: [\"echo at work\", \"until [ -e /root/go ]; do sleep 0.1; done\", \
         \"echo ran > /root/ran\"]\n",
        login.public_line(),
        host.public_line(),
    );
    let began = Instant::now();
    let mut machine = lab.boot("cloud-init-1", &user_data).await.unwrap();
    let access = Access {
        user: "root".to_owned(),
        address: machine.ip.to_string(),
        port: 22,
        key: login.private_pem().unwrap(),
        host_key_fingerprint: host.fingerprint(),
    };
    let remote = session(access.clone());
    let (noted, mut notes) = tokio::sync::mpsc::unbounded_channel();
    let note = |line: &str| noted.send(line.to_owned()).unwrap();
    let going_on = async {
        while !notes.recv().await.unwrap().ends_with("waiting for cloud-init: at work") {}
        machine.inside("touch /root/go").await.unwrap();
    };
    let ready = remote.wait_ready(Duration::from_secs(120), &note);
    let (ready, ()) = tokio::join!(ready, going_on);
    ready.unwrap();
    println!("the machine was ready after {:?}", began.elapsed());
    let output = remote.exec(command("cat /root/ran; cloud-init status")).await.unwrap();
    assert_eq!(output.stdout, "ran\nstatus: done\n");
    let long = command("echo begun; sleep 600");
    let receipt = long.receipt.clone();
    let again = windlass::ssh::Command { receipt, ..command("never run") };
    let lines = Lines::new();
    let long = windlass::ssh::Command { lines: Some(lines.clone()), ..long };
    tokio::select! {
        output = remote.exec(long) => panic!("{output:?}"),
        () = lines.wait_for("begun") => {}
    }
    machine.reboot().await.unwrap();
    let remote = session(Access { address: machine.ip.to_string(), ..access });
    remote.wait_ready(Duration::from_secs(120), &|_| {}).await.unwrap();
    let interrupted = remote.exec(again).await;
    assert!(
        matches!(&interrupted, Err(windlass::ssh::SshError::CommandInterrupted { output, .. })
            if output.stdout == "begun\n"),
        "{interrupted:?}"
    );
    lab.destroy("cloud-init-1").await.unwrap();
}
