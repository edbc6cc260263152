//! The images that machines are made from: found at the engine, or built there.

use bollard::Docker as Engine;
use bollard::errors::Error;
use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptionsBuilder, ListImagesOptionsBuilder};
use futures_util::StreamExt;
use tracing::info;

use crate::model::catalogue::Image;
use crate::providers::ProviderError;
use crate::providers::docker::refusal;

/// Our repository of images at the engine.
const REPOSITORY: &str = "windlass-machine";

/// The systems that can be built, and what from.
const BASES: [(&str, &str); 4] = [
    ("debian-12", "debian:12-slim"),
    ("debian-13", "debian:13-slim"),
    ("ubuntu-22.04", "ubuntu:22.04"),
    ("ubuntu-24.04", "ubuntu:24.04"),
];

/// The engine's name of the image, which is there afterwards.
pub(super) async fn ensure(engine: &Engine, image: &str) -> Result<String, ProviderError> {
    let tag = format!("{REPOSITORY}:{image}");
    match engine.inspect_image(&tag).await {
        Ok(_) => return Ok(tag),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
        Err(error) => return Err(refusal("look for an image", error)),
    }
    let Some((_, base)) = BASES.iter().find(|(name, _)| *name == image) else {
        let known = BASES.map(|(name, _)| name).join(", ");
        return Err(ProviderError::Refused {
            code: "invalid_argument",
            message: format!(
                "there is no image `{image}` for machines of the local Docker engine: use one of \
                 {known}, or make one of your own with the tag `{tag}`"
            ),
        });
    };
    info!(image = tag, base, "building the machine image, which takes some minutes once");
    build(engine, &tag, base).await?;
    Ok(tag)
}

/// The systems on offer: those that are there, and those that can be built.
pub(super) async fn offered(engine: &Engine) -> Result<Vec<Image>, ProviderError> {
    let options = ListImagesOptionsBuilder::default().build();
    let found = engine.list_images(Some(options)).await;
    let found = found.map_err(|error| refusal("list images", error))?;
    let tags = found.iter().flat_map(|image| &image.repo_tags);
    let ours = tags.filter_map(|tag| tag.strip_prefix(REPOSITORY)?.strip_prefix(':'));
    let mut names: Vec<&str> = ours.chain(BASES.map(|(name, _)| name)).collect();
    names.sort_unstable();
    names.dedup();
    let is_there = |name: &str| {
        let tag = format!("{REPOSITORY}:{name}");
        found.iter().any(|image| image.repo_tags.contains(&tag))
    };
    Ok(names
        .into_iter()
        .map(|name| Image {
            name: name.to_owned(),
            description: if is_there(name) {
                format!("a container of {REPOSITORY}:{name}")
            } else {
                format!(
                    "a container of {REPOSITORY}:{name}, which is built when it is first wanted"
                )
            },
            architectures: vec![architecture().to_owned()],
            deprecated: false,
        })
        .collect())
}

/// The engine's architecture in the words of catalogues. It is this machine's.
pub(super) const fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm" } else { "x86" }
}

async fn build(engine: &Engine, tag: &str, base: &str) -> Result<(), ProviderError> {
    let failed = |reason: String| ProviderError::Unavailable {
        message: format!(
            "the machine image {tag} could not be built from {base}: {reason}. If the engine \
             cannot reach a registry, load {base} with `docker load`, or make {tag} yourself \
             (a system with sshd that runs in the foreground)"
        ),
    };
    let context = context(base).map_err(|error| failed(error.to_string()))?;
    let options = BuildImageOptionsBuilder::new().t(tag).rm(true).forcerm(true).build();
    let body = bollard::body_full(context.into());
    let mut steps = std::pin::pin!(engine.build_image(options, None, Some(body)));
    let mut last = String::new();
    while let Some(step) = steps.next().await {
        let BuildInfo { stream, error_detail, .. } =
            step.map_err(|error| failed(error.to_string()))?;
        if let Some(error) = error_detail {
            let message = error.message.unwrap_or_default();
            return Err(failed(format!("{message} (after: {last})")));
        }
        let line = stream.unwrap_or_default().trim().to_owned();
        if !line.is_empty() {
            last = line;
        }
    }
    Ok(())
}

fn context(base: &str) -> std::io::Result<Vec<u8>> {
    let dockerfile = include_str!("Dockerfile").replace("FROM BASE", &format!("FROM {base}"));
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in
        [("Dockerfile", dockerfile.as_str()), ("boot.sh", include_str!("boot.sh"))]
    {
        super::files::add(&mut archive, name, content.as_bytes(), 0o644)?;
    }
    archive.into_inner()
}
