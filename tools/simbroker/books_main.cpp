// millrace-books: audits a broker's books, read-only, on its own.
#include "tools/simbroker/audit.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
    CLI::App app{
        "Audits the simulated broker's books: executions by intent, doubles, positions, "
        "consistency. Exit status 0: nothing doubled, nothing sent twice and all adds up; 1: not "
        "so; 2: the file cannot be audited"};
    std::string path;
    std::uint64_t tag = 0;
    bool json = false;
    app.add_option("books", path, "books file")->required();
    app.add_option("--tag", tag, "15-bit tag of our magics; 0 = every magic but 0")
        ->check(CLI::Range(0, 32'767));
    app.add_flag("--json", json, "JSON on stdout");
    CLI11_PARSE(app, argc, argv);
    const auto audit = millrace::sim::audit_books(path, tag);
    if (!audit) {
        const auto& error = audit.error();
        std::fprintf(stderr, "millrace-books: %s: %s%s%s\n", path.c_str(), error.what,
                     error.sys_errno != 0 ? ": " : "",
                     error.sys_errno != 0 ? std::strerror(error.sys_errno) : "");
        return 2;
    }
    const std::string text = json ? millrace::sim::audit_json(audit.value()) + "\n"
                                  : millrace::sim::audit_table(audit.value());
    std::fputs(text.c_str(), stdout);
    const bool once = audit.value().doubled() == 0 && audit.value().repeated() == 0;
    return once && audit.value().inconsistent.empty() ? 0 : 1;
}
