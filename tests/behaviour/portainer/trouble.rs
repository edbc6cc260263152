//! A Portainer in trouble, reached through a real sshd. Files that go to its server are kept here.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::json;
use tests::fake_portainer::{FakePortainer, Fault, Harm, PASSWORD};
use tests::sshd::Sshd;
use tokio_util::sync::CancellationToken;
use windlass::model::failure::Failure;
use windlass::model::names::{Identity, JobId};
use windlass::ssh::session::Session;
use windlass::ssh::{Command, Note, Output, Remote, SshError, Tunnel};
use windlass::stacks::portainer::Portainer;
use windlass::stacks::portainer::client::Client;
use windlass::stacks::portainer::line::Line;
use windlass::stacks::portainer::location::{Location, Look, Mark};
use windlass::stacks::portainer::tokens::Token;
use windlass::stacks::swarm::{Deployment, Swarm};

const CREATE: &str = "POST /stacks/create/swarm/string";

/// A server whose connections are real, and on which nothing else happens.
struct Server {
    session: Session,
    files: Mutex<BTreeMap<String, String>>,
    commands: Mutex<Vec<String>>,
}

#[async_trait]
impl Remote for Server {
    async fn exec(&self, command: Command) -> Result<Output, SshError> {
        self.commands.lock().unwrap().push(command.line);
        let (stdout, stderr) = (String::new(), String::new());
        Ok(Output { exit_code: 0, stdout, stderr, truncated: false, duration_ms: 0 })
    }

    async fn release(&self, _: &[Identity]) -> Result<(), SshError> {
        Ok(())
    }

    async fn forget(&self, _: &[Identity]) -> Result<(), SshError> {
        Ok(())
    }

    async fn upload(&self, path: &str, content: &[u8], _: u32) -> Result<(), SshError> {
        let content = String::from_utf8_lossy(content).trim().to_owned();
        self.files.lock().unwrap().insert(path.rsplit('/').next().unwrap().to_owned(), content);
        Ok(())
    }

    async fn download(&self, path: &str, _: usize) -> Result<Vec<u8>, SshError> {
        Err(SshError::Refused { message: format!("there is no {path}") })
    }

    async fn wait_ready(&self, _: Duration, _: Note<'_>) -> Result<(), SshError> {
        Ok(())
    }

    async fn tunnel(&self, address: &str, port: u16) -> Result<Tunnel, SshError> {
        self.session.tunnel(address, port).await
    }
}

/// A fake and its server, with the parts that jobs share.
struct Scene {
    fake: FakePortainer,
    server: Arc<Server>,
    token: Arc<Token>,
    password: &'static str,
    mark: Mark,
    _sshd: Sshd,
}

impl Scene {
    async fn new(test: &str) -> Option<Self> {
        let sshd = Sshd::start(test)?;
        let session = Session::new(sshd.access()).unwrap();
        let (files, commands) = (Mutex::default(), Mutex::default());
        Some(Self {
            fake: FakePortainer::start().await,
            server: Arc::new(Server { session, files, commands }),
            token: Arc::default(),
            password: PASSWORD,
            mark: Mark::None,
            _sshd: sshd,
        })
    }

    fn portainer(&self, has_services: bool) -> Portainer {
        let location = Location {
            address: Ipv4Addr::LOCALHOST,
            port: self.fake.port(),
            certificate: self.fake.certificate(),
        };
        self.portainer_at(location, has_services)
    }

    fn portainer_at(&self, location: Location, has_services: bool) -> Portainer {
        let remote: Arc<dyn Remote> = self.server.clone();
        let line = Line::new(remote.clone(), location.clone()).unwrap();
        let receipt = Identity { job: JobId::new(jiff::Timestamp::now(), 7), effect: 0 };
        let cancel = CancellationToken::new();
        Portainer {
            client: Client::new(line, SecretString::from(self.password), self.token.clone()),
            remote: remote.clone(),
            swarm: Swarm { remote, receipt, cancel: cancel.clone() },
            look: Look { is_ours: false, mark: self.mark, has_services, portainer: Ok(location) },
            cancel,
        }
    }

    async fn deploy(&self) -> Result<(), Failure> {
        deploy(&self.portainer(false)).await
    }

    fn file(&self, name: &str) -> Option<String> {
        self.server.files.lock().unwrap().get(name).cloned()
    }

    /// The commands that went past Portainer, by the first lines of their scripts.
    fn commands(&self) -> Vec<String> {
        let commands = self.server.commands.lock().unwrap();
        commands.iter().map(|it| it.lines().next().unwrap().to_owned()).collect()
    }
}

async fn deploy(portainer: &Portainer) -> Result<(), Failure> {
    let wanted = Deployment {
        compose: "services: {a: {image: 'a:1'}}".to_owned().into(),
        environment: vec![("WORD".to_owned(), SecretString::from("it's a \"word\""))],
        digest: "d1".to_owned(),
    };
    portainer.deploy(&"shop".parse().unwrap(), &wanted, &|_: &str| {}).await
}

/// A deployment that fails with this code; what it says.
async fn refused(scene: &Scene, code: &str) -> String {
    let failure = scene.deploy().await.unwrap_err();
    assert_eq!(failure.code, code, "{failure:#?}");
    failure.message
}

#[tokio::test]
async fn a_stack_is_made_once_then_updated_then_removed() {
    let Some(scene) = Scene::new("a_stack_is_made_once_then_updated_then_removed").await else {
        return;
    };
    scene.deploy().await.unwrap();
    let env = json!([{ "name": "WORD", "value": "it's a \"word\"" }]);
    assert_eq!(scene.fake.shelf().stacks[0]["Env"], env);
    assert_eq!(
        (scene.file("shop"), scene.file("shop.portainer")),
        (Some("d1".into()), Some("made".into()))
    );
    scene.deploy().await.unwrap();
    assert_eq!((scene.fake.count(CREATE), scene.fake.count("PUT /stacks/{id}")), (1, 1));
    assert_eq!(scene.fake.shelf().stacks[0]["Prune"], true);
    let name = "shop".parse().unwrap();
    scene.portainer(true).remove(&name, true, &|_: &str| {}).await.unwrap();
    scene.portainer(true).remove(&name, true, &|_: &str| {}).await.unwrap();
    assert!(scene.fake.shelf().stacks.is_empty());
    assert_eq!(scene.commands(), ["# windlass: stack-remove"; 2]);
    assert_eq!(scene.fake.count("POST /auth"), 1, "jobs share a sign-in");
}

#[tokio::test]
async fn a_sign_in_that_does_not_count_any_more_is_renewed_once() {
    let Some(mut scene) = Scene::new("a_sign_in_is_renewed_once").await else { return };
    scene.deploy().await.unwrap();
    scene.fake.shelf().tokens.clear();
    scene.deploy().await.unwrap();
    assert_eq!(scene.fake.count("POST /auth"), 2);
    scene.fake.shelf().tokens.clear();
    scene.password = "not the password";
    let said = refused(&scene, "portainer_refused").await;
    assert!(said.contains("Invalid credentials") && said.contains("change it back"), "{said}");
    assert!(!said.contains("not the password"), "{said}");
    assert_eq!(scene.fake.count("POST /users/admin/init"), 0);
}

#[tokio::test]
async fn an_older_portainer_gets_its_administrator_and_its_environment() {
    let Some(scene) = Scene::new("an_older_portainer_gets_its_administrator").await else { return };
    scene.fake.shelf().password = None;
    scene.fake.shelf().environments.clear();
    scene.deploy().await.unwrap();
    assert_eq!(scene.fake.shelf().password.as_deref(), Some(PASSWORD));
    assert_eq!(scene.fake.shelf().stacks[0]["EndpointId"], 7);
    scene.fake.shelf().environments = vec![(3, "one".to_owned()), (4, "two".to_owned())];
    let said = refused(&scene, "portainer_ambiguous").await;
    assert!(said.contains("`primary`"), "{said}");
}

#[tokio::test]
async fn a_portainer_that_wants_a_setup_token_says_so() {
    let Some(scene) = Scene::new("a_portainer_that_wants_a_setup_token_says_so").await else {
        return;
    };
    scene.fake.shelf().password = None;
    let message = "Invalid or missing setup token";
    let harm = Harm::Say { status: 403, code: "", message };
    scene.fake.inject(Fault::on("POST /users/admin/init", harm));
    let said = refused(&scene, "portainer_refused").await;
    assert!(said.contains(message) && said.contains("set the server up again"), "{said}");
}

#[tokio::test]
async fn every_error_is_told_in_portainers_words() {
    let Some(scene) = Scene::new("every_error_is_told_in_portainers_words").await else { return };
    for (status, code, told) in [
        (400, "stack_failed", "HTTP 400): no such thing"),
        (403, "portainer_refused", "does not let its administrator deploy the stack `shop`"),
        (500, "stack_failed", "HTTP 500): no such thing"),
    ] {
        let harm = Harm::Say { status, code: "", message: "no such thing" };
        scene.fake.inject(Fault::on(CREATE, harm));
        let said = refused(&scene, code).await;
        assert!(said.contains(told), "{said}");
        assert_eq!(scene.file("shop.portainer").as_deref(), Some(""), "nothing is under way");
    }
    scene.fake.inject(Fault::on(CREATE, Harm::Say { status: 404, code: "gap", message: "" }));
    assert!(refused(&scene, "portainer_refused").await.contains("older than 2.19"));
    scene.fake.inject(Fault::on(CREATE, Harm::Html(502)));
    assert!(refused(&scene, "stack_failed").await.ends_with("a page of HTML"));
    let harm = Harm::Say { status: 403, code: "", message: "Access denied" };
    scene.fake.shelf().tokens.clear();
    scene.fake.inject(Fault::on("POST /auth", harm));
    assert!(refused(&scene, "portainer_refused").await.contains("waits an hour"));
    assert!(scene.fake.shelf().stacks.is_empty());
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_looked_for_and_never_sent_again() {
    let Some(scene) = Scene::new("an_order_whose_answer_is_lost_is_looked_for").await else {
        return;
    };
    scene.fake.inject(Fault::on(CREATE, Harm::Cut).after_work());
    scene.deploy().await.unwrap();
    assert_eq!(scene.fake.count(CREATE), 1);
    assert_eq!(scene.fake.shelf().stacks.len(), 1);
    assert_eq!(scene.file("shop.portainer").as_deref(), Some("made"));
}

#[tokio::test]
async fn a_name_that_the_engine_has_goes_past_portainer() {
    let Some(scene) = Scene::new("a_name_that_the_engine_has_goes_past_portainer").await else {
        return;
    };
    deploy(&scene.portainer(true)).await.unwrap();
    assert_eq!(scene.fake.count(CREATE), 0, "what is seen is not asked for");
    scene.fake.shelf().taken.push("shop".to_owned());
    scene.deploy().await.unwrap();
    assert_eq!(scene.commands(), ["# windlass: stack-deploy"; 2]);
}

#[tokio::test]
async fn nobody_else_is_told_the_password() {
    let Some(scene) = Scene::new("nobody_else_is_told_the_password").await else { return };
    let other = FakePortainer::start().await;
    let (address, port) = (Ipv4Addr::LOCALHOST, other.port());
    let certificate = scene.fake.certificate();
    let location = Location { address, port, certificate };
    let failure = deploy(&scene.portainer_at(location, false)).await.unwrap_err();
    assert_eq!(failure.code, "portainer_unavailable", "{failure:#?}");
    assert_eq!(other.count("POST /auth"), 0);
}

#[tokio::test]
async fn a_portainer_that_is_not_there_is_named() {
    let Some(scene) = Scene::new("a_portainer_that_is_not_there_is_named").await else { return };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let certificate = scene.fake.certificate();
    let location = Location { address: Ipv4Addr::LOCALHOST, port: closed, certificate };
    let failure = deploy(&scene.portainer_at(location, false)).await.unwrap_err();
    assert_eq!(failure.code, "portainer_unavailable");
    assert!(failure.message.contains("nobody answers there"), "{failure:#?}");
    assert!(failure.message.contains("docker service ps portainer_portainer"), "{failure:#?}");
}
