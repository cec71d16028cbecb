//! Who acts, for the audit log: statements that change an audited table hand it to `core.acting`.

use serde_json::{Value, json};

use crate::kernel::Call;

/// The argument of `core.acting`: whose call this is.
pub fn acting(call: &Call) -> Value {
    let caller = call.caller();
    let (actor, method) = caller.map_or_else(
        || ("system:unknown".to_owned(), "system"),
        |caller| (caller.actor.to_string(), caller.actor.method.as_str()),
    );
    json!({
        "actor": actor,
        "method": method,
        "client": caller.and_then(|caller| caller.client),
        "agent": call.agent(),
        "request": call.request_id(),
    })
}

/// The same for changes that are to have no rows, such as those of a retention, which appends one for all of them.
pub fn acting_quietly(call: &Call) -> Value {
    let mut acting = acting(call);
    if let Some(members) = acting.as_object_mut() {
        members.insert("quiet".to_owned(), Value::Bool(true));
    }
    acting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Caller;

    #[test]
    fn says_whose_call_it_is() {
        let caller =
            Caller { actor: "token:ci".parse().unwrap(), client: Some("2001:db8::7".parse().unwrap()), projects: None };
        let call = Call::default().by(caller).of_request("r-1").from_agent("curl/8.5");
        let expected = json!({"actor": "token:ci", "method": "token", "client": "2001:db8::7", "agent": "curl/8.5",
            "request": "r-1"});
        assert_eq!(acting(&call), expected);
        let system = acting_quietly(&Call::system("history"));
        assert_eq!((&system["actor"], &system["method"]), (&json!("system:history"), &json!("system")));
        assert_eq!((&system["quiet"], &system["client"]), (&json!(true), &Value::Null));
    }
}
