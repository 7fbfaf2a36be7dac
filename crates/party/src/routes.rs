//! Which sessions run, by the route to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cryptflow_wire::tls::Route;

use crate::worker::Entrance;

/// The sessions to which connections may come.
#[derive(Default)]
pub(crate) struct Routes(Mutex<HashMap<Route, Entrance>>);

impl Routes {
    /// Opens a session to those who come, until what is returned is dropped.
    pub(crate) fn open(self: &Arc<Self>, route: Route, entrance: Entrance) -> Opened {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(route, entrance);
        Opened { routes: Arc::clone(self), route }
    }

    /// The way into a session.
    pub(crate) fn find(&self, route: Route) -> Option<Entrance> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&route).cloned()
    }
}

/// A route that is open.
pub(crate) struct Opened {
    routes: Arc<Routes>,
    route: Route,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.routes.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.route);
    }
}
