//! Who calls, and whether they may: tokens, gateways, roles, and the check in front of every route.
//!
//! A route says in its documentation which role it needs (`security(("bearer" = ["editor"]), …)`), and that is what the
//! check enforces. The room owns no data: tokens come from settings and from a file.

mod access;
mod credentials;
mod gateway;
mod guard;
mod host;
mod known;
mod needs;
mod refusals;
mod routes;
mod token;
mod token_file;

pub use access::{AccessControl, AccessParts, Mode};
pub use guard::guard;
pub use known::Identity;
pub use needs::{Needs, RouteWithoutRole};
pub use routes::routes;
pub use token::Token;
pub use token_file::{InvalidTokens, TokenEntry, TokenFile, TokenName};
