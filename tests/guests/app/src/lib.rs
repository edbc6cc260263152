//! An app that goes the way that its configuration says. It has no descriptor: tests give it the
//! one that they need, and so make many apps of it.

use serde_json::{Value, json};

wit_bindgen::generate!({ path: "../../../wit", world: "app" });

use windlass::plugin::{dns, inventory, job, secrets, stacks};

struct Component;

/// What every way needs.
struct Task {
    server: String,
    app: String,
    config: Value,
    delete_data: bool,
}

impl Guest for Component {
    fn deploy(params: String) -> Result<String, Failure> {
        let task = Task::read(&params)?;
        job::step("Deploy stack");
        let how = task.text("how").unwrap_or("runs").to_owned();
        match how.as_str() {
            "runs" => task.run(),
            "idles" => Ok(json!({})),
            "fails" => Err(failure("no_luck", "it did not work out")),
            "fails-late" => {
                task.run()?;
                Err(failure("no_luck", "it did not stay"))
            }
            "waits" => {
                task.deploy()?;
                job::log(job::Level::Info, "waiting");
                job::sleep(600_000)?;
                task.run()
            }
            "reaches-out" => Ok(task.reach_out()),
            "tells-its-secret" => task.tell(),
            other => Err(failure("invalid_argument", &format!("there is no way `{other}`"))),
        }
        .map(|answer| answer.to_string())
    }

    fn undeploy(params: String) -> Result<String, Failure> {
        let task = Task::read(&params)?;
        job::step("Remove stack");
        if task.text("how") == Some("idles") {
            return Ok("{}".to_owned());
        }
        if task.text("on_removal") == Some("fails") {
            return Err(failure("no_luck", "it does not want to go"));
        }
        let record: Value = inventory::get_app(&task.server, &task.app)?
            .map(|record| serde_json::from_str(&record).map_err(unreadable))
            .transpose()?
            .unwrap_or_default();
        stacks::remove(&task.server, &task.app, task.delete_data)?;
        for record in record["dns"].as_array().into_iter().flatten() {
            dns::delete(record["zone"].as_str().unwrap(), record["id"].as_str().unwrap())?;
        }
        inventory::delete_app(&task.server, &task.app)?;
        Ok(json!({ "removed": task.app, "version": env!("CARGO_PKG_VERSION") }).to_string())
    }
}

impl Task {
    fn read(params: &str) -> Result<Self, Failure> {
        let params: Value = serde_json::from_str(params).map_err(unreadable)?;
        let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            server: text("server"),
            app: text("app"),
            config: params["config"].clone(),
            delete_data: params["delete_data"] == true,
        })
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.config[name].as_str()
    }

    fn run(&self) -> Result<Value, Failure> {
        self.deploy()?;
        stacks::wait_healthy(&self.server, &self.app, 60_000)?;
        let names = self.names()?;
        let urls: Vec<String> = names.iter().map(|name| format!("https://{name}")).collect();
        let patch = json!({ "urls": urls, "notes": ["it runs"] });
        inventory::put_app(&self.server, &self.app, &patch.to_string())?;
        Ok(json!({ "app": self.app, "urls": urls }))
    }

    fn deploy(&self) -> Result<(), Failure> {
        let secret = self.text("password").map(|it| ("PASSWORD".to_owned(), it.to_owned()));
        let environment: Vec<(String, String)> = secret.into_iter().collect();
        stacks::deploy(&self.server, &self.app, &self.compose(), &environment)
    }

    fn compose(&self) -> String {
        let tag = self.text("tag").unwrap_or("1.0.0");
        json!({
            "services": { "main": {
                "image": format!("example.com/{}:{tag}", self.app),
                "environment": { "PASSWORD": "${PASSWORD:-none}" },
                "networks": ["shared"],
                "deploy": {
                    "replicas": 1,
                    "resources": { "limits": { "cpus": "0.5", "memory": "128M" } },
                },
            }},
            "networks": { "shared": { "external": true, "name": "livchat_network" } },
        })
        .to_string()
    }

    /// The names that it was given in its configuration, in the server's zone.
    fn names(&self) -> Result<Vec<String>, Failure> {
        let record = inventory::get_server(&self.server)?.unwrap_or_default();
        let record: Value = serde_json::from_str(&record).map_err(unreadable)?;
        let Some(zone) = record["dns"]["zone_name"].as_str() else { return Ok(Vec::new()) };
        let subdomain = record["dns"]["subdomain"].as_str();
        let domain = subdomain.map_or_else(|| zone.to_owned(), |it| format!("{it}.{zone}"));
        let mut names = Vec::new();
        for prefix in self.config["prefixes"].as_array().into_iter().flatten() {
            let name = format!("{}.{domain}", prefix.as_str().unwrap_or_default());
            dns::upsert(&record_of(zone, &name, &format!("ptn.{domain}")))?;
            names.push(name);
        }
        Ok(names)
    }

    /// Everything that is none of its business: the code of each refusal.
    fn reach_out(&self) -> Value {
        let (server, app) = (&self.server, &self.app);
        let told = |result: Result<(), Failure>| {
            result.map_or_else(|failure| failure.code, |()| "got it".to_owned())
        };
        let policy =
            || secrets::Policy { length: 16, alphabet: "hex".to_owned(), more: Vec::new() };
        let upsert = |name: &str, force: bool| {
            let mut wanted = record_of("example.com", name, "ptn.lab.example.com");
            wanted.options.push(("force".to_owned(), force.to_string()));
            dns::upsert(&wanted).map(drop)
        };
        let foreign = dns::lookup("example.com", "ptn.lab.example.com");
        let foreign = foreign.ok().and_then(|found| found.into_iter().next());
        let foreign = foreign.map_or_else(|| "none".to_owned(), |record| record.id);
        json!({
            "put_another_app": told(inventory::put_app(server, "other", "{}")),
            "delete_another_app": told(inventory::delete_app(server, "other")),
            "delete_itself_while_deploying": told(inventory::delete_app(server, app)),
            "status": told(inventory::put_app(server, app, r#"{"status":"running"}"#)),
            "another_servers_app": told(inventory::get_app("other", app).map(drop)),
            "another_servers_apps": told(inventory::list_apps("other").map(drop)),
            "server_record": told(inventory::update_server(server, "{}")),
            "server_removal": told(inventory::remove_server(server)),
            "another_server": told(inventory::get_server("other").map(drop)),
            "servers": inventory::list_servers().map_or(99, |found| found.len()).to_string(),
            "another_servers_stack": told(stacks::inspect("other", app).map(drop)),
            "foreign_name": told(upsert("other.lab.example.com", false)),
            "own_name_of_another_zone": told(upsert("mine.example.com", false)),
            "name_above": told(upsert("lab.example.com", false)),
            "own_name_by_force": told(upsert("mine.lab.example.com", true)),
            "own_name": told(upsert("mine.lab.example.com", false)),
            "foreign_record": told(dns::delete("example.com", &foreign)),
            "foreign_secret": told(secrets::ensure("other/password", &policy()).map(drop)),
            "own_secret": told(secrets::ensure(&format!("{app}/key"), &policy()).map(drop)),
        })
    }

    /// Puts its secret wherever somebody may read it.
    fn tell(&self) -> Result<Value, Failure> {
        let secret = self.text("password").unwrap_or_default().to_owned();
        job::log(job::Level::Info, &format!("the password is {secret}"));
        self.deploy()?;
        let patch = json!({ "notes": [format!("the password is {secret}")] });
        inventory::put_app(&self.server, &self.app, &patch.to_string())?;
        Ok(json!({ "secret": secret }))
    }
}

fn record_of(zone: &str, name: &str, target: &str) -> dns::NewRecord {
    dns::NewRecord {
        zone: zone.to_owned(),
        name: name.to_owned(),
        kind: "CNAME".to_owned(),
        content: target.to_owned(),
        options: vec![("proxied".to_owned(), "false".to_owned())],
    }
}

fn failure(code: &str, message: &str) -> Failure {
    Failure { code: code.to_owned(), message: message.to_owned(), retry_safe: true }
}

fn unreadable(error: serde_json::Error) -> Failure {
    failure("bad_json", &error.to_string())
}

export!(Component);
