//! The macro that makes the component of an app.

/// Makes an app of two functions, `fn(Params) -> Result<Deployed, Failure>` and
/// `fn(Params) -> Result<Removed, Failure>`; all four types can be the plugin's own. What the app
/// says of itself is put in when it is packed, from `recipe.yaml` or `descriptor.json`.
#[macro_export]
macro_rules! app {
    ($deploy:path, $undeploy:path) => {
        struct Component;

        impl $crate::app_bindings::Guest for Component {
            fn deploy(text: String) -> Result<String, $crate::Failure> {
                $crate::answer(&$deploy($crate::params(&text)?)?)
            }

            fn undeploy(text: String) -> Result<String, $crate::Failure> {
                $crate::answer(&$undeploy($crate::params(&text)?)?)
            }
        }

        $crate::app_bindings::export!(Component with_types_in $crate::app_bindings);
    };
}
