//! Components of other times: those of this contract's run for ever, those of later ones are refused
//! by name.

use serde_json::json;
use tests::apps;
use tests::echo::{self, KEPT, ran};
use tests::forge;
use tests::host_process::TestHost;

async fn refused(component: Vec<u8>) -> String {
    let host = TestHost::start().await;
    let (status, refused) = host.upload("accept_grants=true", component).await;
    assert_eq!((status, &refused["code"]), (422, &json!("does_not_fit")), "{refused}");
    assert!(host.kept_files().is_empty());
    refused["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_component_that_was_built_when_the_contract_was_published_runs() {
    let host = TestHost::start().await;
    let (status, added) = host.upload("accept_grants=true", KEPT.to_vec()).await;
    assert_eq!(status, 201, "{added}");
    host.add_echo(echo::version(1)).await;
    assert_eq!(ran(&host.echo("web").await).0, "7.7.1");
}

#[tokio::test]
async fn a_component_of_a_later_contract_is_refused_with_both_versions_and_the_fix() {
    let later = echo::patched(KEPT, "windlass:plugin/job@0.1.0", "windlass:plugin/job@0.2.0");
    let said = refused(later).await;
    for part in ["windlass:plugin/job@0.2.0", "windlass:plugin@0.1.0", "a newer windlass"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_function_that_this_host_lacks_is_named_with_its_interface_and_the_fix() {
    let said = refused(echo::patched(KEPT, "zones", "zonks")).await;
    for part in [
        "windlass:plugin/dns@0.1.0",
        "it wants `zonks: func() -> result<list<record { id: string, name: string }>",
        "there are `zones`, `lookup`, `upsert`, `delete`",
        "build the plugin against that one",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_function_that_is_another_one_is_told_as_it_should_be_and_as_it_is() {
    let descriptor = forge::descriptor("other", &["job"]);
    let module = |import: &str| {
        format!(
            "(module {import} (memory (export \"memory\") 1)
              (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) i32.const 8)
              (func (export \"run\") (param i32 i32) (result i32) i32.const 8))"
        )
    };
    let run = "export run: func(params: string) -> string;";
    let exports = format!("package a:b; world guest {{ {run} }}");
    let said = refused(forge::of_another_contract(&exports, &module(""), &descriptor)).await;
    for part in [
        "expected is `run: func(params: json) -> result<json, failure>`",
        "found is `run: func(params: string) -> string`",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let imports = format!(
        "package windlass:plugin@0.1.0; interface job {{ progress: func(percent: u32); }}
         world guest {{ import job; {run} }}"
    );
    let import = r#"(import "windlass:plugin/job@0.1.0" "progress" (func (param i32)))"#;
    let said = refused(forge::of_another_contract(&imports, &module(import), &descriptor)).await;
    for part in
        ["expected is `progress: func(percent: u8)`", "found is `progress: func(percent: u32)`"]
    {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn an_app_with_the_function_that_was_renamed_is_told_both_names_and_to_be_built_anew() {
    let descriptor = apps::recipe("earlier", &[], json!({})).to_string();
    let component = packing::add_descriptor(&apps::of_earlier(), &descriptor).unwrap();
    let said = refused(component).await;
    for part in [
        "exports no function `undeploy`",
        "it exports `deploy` and `remove` (`remove` is what `undeploy` was called",
        "build it anew with the SDK",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn an_interface_that_this_host_lacks_is_named() {
    let said = refused(echo::patched(KEPT, "wasi:cli/", "wasi:clx/")).await;
    assert!(said.contains("`wasi:clx/"), "{said}");
}

#[tokio::test]
async fn the_component_as_its_source_says_today_is_taken() {
    if std::env::var_os("SLOW_TESTS").is_none() {
        return println!("SKIPPED: builds a guest, set SLOW_TESTS");
    }
    let host = TestHost::start().await;
    let (status, added) = host.upload("accept_grants=true", echo::built_now()).await;
    assert_eq!(status, 201, "{added}");
}
