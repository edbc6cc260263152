//! Generated from `wit/`: traits that the host implements, and a way to call a guest.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "operation",
    imports: {
        "windlass:plugin/job.id": trappable,
        "windlass:plugin/job.plan": trappable,
        "windlass:plugin/job.step": trappable,
        "windlass:plugin/job.progress": trappable,
        "windlass:plugin/job.log": trappable,
        "windlass:plugin/job.cancelled": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    additional_derives: [serde::Serialize, serde::Deserialize],
});
