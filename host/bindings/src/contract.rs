//! Generated from `wit/`: traits that the host implements, and a way to call a guest.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "operation",
    imports: {
        "windlass:plugin/job.id": trappable,
        "windlass:plugin/job.cancelled": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    additional_derives: [serde::Serialize, serde::Deserialize],
});

/// The world of apps: the same interfaces, fewer of them, and two ways in.
pub(crate) mod app {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "app",
        with: {
            "windlass:plugin/types": crate::windlass::plugin::types,
            "windlass:plugin/job": crate::windlass::plugin::job,
            "windlass:plugin/stacks": crate::windlass::plugin::stacks,
            "windlass:plugin/dns": crate::windlass::plugin::dns,
            "windlass:plugin/http": crate::windlass::plugin::http,
            "windlass:plugin/secrets": crate::windlass::plugin::secrets,
            "windlass:plugin/databases": crate::windlass::plugin::databases,
            "windlass:plugin/inventory": crate::windlass::plugin::inventory,
        },
        exports: { default: async },
    });
}
