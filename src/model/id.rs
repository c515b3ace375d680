//! Dense identifiers: `u32` newtypes that index vectors. Names exist at the edges only.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A name given by a person or a file: shared, cheap to clone. Foreign text: sanitise before it meets a terminal.
pub type Name = Arc<str>;

macro_rules! dense_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The vector index this id stands for.
            #[must_use]
            pub fn index(self) -> usize {
                self.0 as usize
            }
            /// The id of a vector index. Counts are bounded far below `u32::MAX` by the limits of the reader.
            #[must_use]
            pub fn from_index(index: usize) -> Self {
                Self(u32::try_from(index).expect("ids stay below the reader's limits"))
            }
        }
    };
}

dense_id! {
    /// A step, dense per workflow, in the order of the file.
    StepId
}
dense_id! {
    /// An agent in the engine's registry, dense over all runs, in the order of registration.
    AgentId
}
dense_id! {
    /// A run in one engine, in the order of loading. People see the run's name (`run_id`) instead.
    RunId
}
