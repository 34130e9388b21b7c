// millrace-demo: the pipeline, a broker, a source, and a verdict. `tools/demo` builds and runs it.
#include "tools/demo_run/demo.h"

int main(int argc, char** argv) {
    millrace::demo::Options options;
    int exit_status = 0;
    if (!millrace::demo::parse_options(argc, argv, options, exit_status)) {
        return exit_status;
    }
    return millrace::demo::run_demo(options);
}
