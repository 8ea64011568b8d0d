//! What is known about one container, parsed from what the API server, the kubelet and the program
//! say. Everything that a program wrote is untrusted: it is bounded and escaped before it is kept.

mod answer;
mod handler;
mod quantity;
mod quote;
mod told;
mod words;

pub use answer::Answer;
pub use handler::{Handler, ProbeKind};
pub use quantity::Quantity;
pub use quote::Quote;
pub use told::{Complaint, Told, Trouble};
pub use words::{LastWords, Said, StartupErrorKind};
