//! What the tests of every relational SOR share: its port on each adapter, and calls to its routes.

use std::sync::Arc;

use actix_web::http::StatusCode;
use reqwest::Method;
use serde_json::Value;

use crate::http::Outward;
use crate::http::testing::Served;
use crate::kernel::{CALL, Stored};
use crate::storage::Db;
use crate::storage::testing::{TestDatabase, database};

/// A port over a database of its own.
pub(crate) struct Fixture<P: ?Sized> {
    pub(crate) port: Arc<P>,
    _database: TestDatabase,
    _served: Option<Served>,
}

impl<P: ?Sized> Fixture<P> {
    /// The adapter of PostgreSQL.
    pub(crate) async fn local(local: impl FnOnce(Db) -> Arc<P>) -> Self {
        let database = database().await;
        Self { port: local(database.db.clone()), _database: database, _served: None }
    }

    /// The adapter of another Flamewarden, over a live server of that one.
    pub(crate) fn over_http(self, serve: fn(Arc<P>) -> Served, remote: fn(Outward) -> Arc<P>) -> Self {
        let served = serve(self.port);
        Self { port: remote(served.client()), _served: Some(served), ..self }
    }
}

/// Runs each case of a conformance suite on every adapter: those that the functions `postgres` and `http` make.
macro_rules! suite {
    ($($name:ident)+) => {
        mod on_postgres {
            $(#[actix_web::test] async fn $name() { super::$name(&*super::postgres().await.port).await; })+
        }
        mod over_http {
            $(#[actix_web::test] async fn $name() { super::$name(&*super::http().await.port).await; })+
        }
    };
}
pub(crate) use suite;

/// Calls a route: the status, and the JSON that it answers.
pub(crate) async fn call(served: &Served, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let client = served.client();
    let request = client.request(method, client.base().join(path).unwrap());
    let answer = client.send(&CALL, body.iter().fold(request, reqwest::RequestBuilder::json)).await.unwrap();
    let status = StatusCode::from_u16(answer.status.as_u16()).unwrap();
    (status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

/// The names of an object's members, sorted.
pub(crate) fn members(object: &Value) -> Vec<&str> {
    let mut members: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    members
}

/// Rows that must be valid, as values.
pub(crate) trait Whole {
    /// What they are.
    type Value;

    /// The values.
    fn whole(self) -> Self::Value;
}

impl<T: std::fmt::Debug> Whole for Stored<T> {
    type Value = T;

    fn whole(self) -> T {
        match self {
            Self::Valid(value) => value,
            Self::Odd(row) => panic!("{row:?}"),
        }
    }
}

impl<T: Whole> Whole for Option<T> {
    type Value = Option<T::Value>;

    fn whole(self) -> Self::Value {
        self.map(Whole::whole)
    }
}

impl<T: Whole> Whole for Vec<T> {
    type Value = Vec<T::Value>;

    fn whole(self) -> Self::Value {
        self.into_iter().map(Whole::whole).collect()
    }
}
