//! A receiver of messages: it stands for the hook of a chat.

use std::net::{SocketAddr, TcpListener};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Listens and takes every message that is posted, whatever the path. It ends with the process.
pub(super) fn open(address: SocketAddr) -> anyhow::Result<UnboundedReceiver<String>> {
    let listener = TcpListener::bind(address).with_context(|| format!("messages cannot be received at {address}"))?;
    let (into, messages) = unbounded_channel();
    let take = async |into: web::Data<UnboundedSender<String>>, body: String| {
        // Nobody listens any more when the command ends.
        let _ = into.send(shown(&body));
        HttpResponse::Ok().body("ok")
    };
    let into = web::Data::new(into);
    let server = HttpServer::new(move || App::new().app_data(into.clone()).default_service(web::post().to(take)))
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run();
    tokio::spawn(server);
    Ok(messages)
}

/// A message as a chat shows it: the text of Slack's body, of each link its name. Another body is shown as it is.
fn shown(body: &str) -> String {
    let message: Option<Value> = serde_json::from_str(body).ok();
    let text = message.as_ref().and_then(|message| message.get("text")?.as_str());
    let Some(text) = text else { return body.to_owned() };
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('<') {
        shown.push_str(before);
        let (link, after) = link.split_once('>').unwrap_or((link, ""));
        shown.push_str(link.split_once('|').map_or(link, |(_, name)| name));
        rest = after;
    }
    shown.push_str(rest);
    shown.replace('*', "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_without_the_marks_of_a_chat() {
        let body = r#"{"text": "*FIRING warning · shop · a&lt;b&gt; &amp; c*\n<http://h/1?a=1&b=2|triage> | <http://h/2|alert>"}"#;
        assert_eq!(shown(body), "FIRING warning · shop · a<b> & c\ntriage | alert");
        assert_eq!(shown("no JSON <"), "no JSON <");
    }

    #[actix_web::test]
    async fn what_is_posted_is_received_and_a_second_receiver_is_refused() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut messages = open(free).unwrap();
        let posted = reqwest::Client::new().post(format!("http://{free}/any/hook")).body(r#"{"text": "hello"}"#);
        assert!(posted.send().await.unwrap().status().is_success());
        assert_eq!(messages.recv().await.as_deref(), Some("hello"));
        let refused = open(free).unwrap_err().to_string();
        assert_eq!(refused, format!("messages cannot be received at {free}"));
    }
}
