"""Files to flows: the one place that deserialises, and it deserialises only classes that it knows.

- ``load_flow`` is what the service calls: it compiles and checks a flow, and refuses every class that is not on the list.
- ``load_half`` does the same for the network's own halves beside a flow, which make latents of inputs and outputs of latents.
- ``compile_file`` and ``compile_half`` make plans of such files, which the service can run without Keras.
- ``load_model`` gives scripts the Keras model itself, compiled for training where its file says so. It also loads the
  classes that the script has registered with Keras.
- ``describe_flow`` tells what such a file's flow is made of, without running it.
- ``load_weights`` fills a model that was made in code from a ``.weights.h5`` file, or says which layer does not fit.

All read the files of gyoza 0.3. ``keras.saving.load_model`` reads them too once ``gyoza.modelling.flow_layers`` is
imported, but knows no list, and goes by what a script has registered under the names of that library.

Importing this package imports Keras. Nothing in it holds state or knows a server: it may run in a child process.
"""

from gyoza.loading.archive import read_config
from gyoza.loading.description import describe_flow
from gyoza.loading.errors import LoadError
from gyoza.loading.flows import load_flow
from gyoza.loading.halves import compile_half, load_half
from gyoza.loading.models import load_model, read_model
from gyoza.loading.plans import compile_file
from gyoza.loading.weights import load_weights

__all__ = [
    "LoadError",
    "compile_file",
    "compile_half",
    "describe_flow",
    "load_flow",
    "load_half",
    "load_model",
    "load_weights",
    "read_config",
    "read_model",
]
