#include "tests/postgres/server.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "persist/run_tool.h"

namespace millrace::postgres_test {
namespace {

constexpr const char* kPassword = "servers-own-secret";

/// Newest /usr/lib/postgresql/*/bin.
std::string binaries() {
    std::string best;
    std::error_code error;
    for (const auto& e : std::filesystem::directory_iterator{"/usr/lib/postgresql", error}) {
        const std::string bin = e.path().string() + "/bin";
        if (std::filesystem::exists(bin + "/postgres") && bin > best) {
            best = bin;
        }
    }
    EXPECT_FALSE(best.empty()) << "no PostgreSQL server; tools/setup installs it";
    return best;
}

std::string file_text(const std::string& path) {
    std::ifstream in{path};
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

}  // namespace

PostgresProcess::PostgresProcess(std::string directory)
    : directory_{std::move(directory)}, port_{quiet_.number()} {
    std::filesystem::create_directories(directory_);
    init();
}

PostgresProcess::~PostgresProcess() {
    crash();
}

/// Runs a program as an account that the server accepts: it refuses root.
pid_t PostgresProcess::spawn(const std::vector<std::string>& words) const {
    const std::string log = directory_ + "/log";
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const passwd* const account = ::getuid() == 0 ? ::getpwnam("postgres") : nullptr;
    std::vector<char*> arguments;
    for (const std::string& word : words) {
        arguments.push_back(const_cast<char*>(word.c_str()));
    }
    arguments.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::setsid();
        if (account != nullptr &&
            (::initgroups(account->pw_name, account->pw_gid) != 0 ||
             ::setgid(account->pw_gid) != 0 || ::setuid(account->pw_uid) != 0)) {
            ::_exit(126);
        }
        ::prctl(PR_SET_PDEATHSIG, SIGQUIT, 0, 0, 0);  // after setuid, which clears it
        ::dup2(out, 1);
        ::dup2(out, 2);
        ::chdir("/");
        ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }
    ::close(out);
    return pid;
}

void PostgresProcess::init() const {
    // mkdtemp makes 0700: the server's account could not enter.
    ::chmod(std::filesystem::path{directory_}.parent_path().c_str(), 0755);
    std::ofstream{directory_ + "/password"} << kPassword << "\n";
    if (::getuid() == 0) {
        const passwd* const account = ::getpwnam("postgres");
        ASSERT_NE(account, nullptr);
        ASSERT_EQ(::chown(directory_.c_str(), account->pw_uid, account->pw_gid), 0);
    }
    const pid_t pid = spawn({binaries() + "/initdb", "-D", directory_ + "/data", "-U", "desk",
                             "--pwfile", directory_ + "/password", "-A", "scram-sha-256", "-E",
                             "UTF8", "--locale", "C.UTF-8", "--no-sync"});
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_EQ(status, 0) << file_text(directory_ + "/log");
}

void PostgresProcess::start() {
    // fsync off: it is killed here, the machine is not.
    pid_ = spawn({binaries() + "/postgres", "-D", directory_ + "/data", "-p", std::to_string(port_),
                  "-k", directory_, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"});
    std::string said;
    for (int i = 0; i < 6'000; ++i) {
        const auto store = make_postgres_credentials(place());
        if (store->open(CredentialOpen::Create)) {
            return;
        }
        said = store->message();
        ::usleep(10'000);
    }
    FAIL() << "PostgreSQL does not answer: " << said << "\n" << file_text(directory_ + "/log");
}

void PostgresProcess::crash() {
    if (pid_ > 0) {
        signal_all(SIGCONT);
        ::kill(pid_, SIGQUIT);
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
    }
}

void PostgresProcess::signal_all(int number) const {
    // Its children, which are in process groups of their own, while their parent is ours unreaped.
    std::istringstream children{
        file_text("/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) + "/children")};
    for (pid_t child = 0; children >> child;) {
        ::kill(child, number);
    }
    ::kill(pid_, number);
}

PostgresPlace PostgresProcess::place() const {
    return {"postgresql://desk@127.0.0.1:" + std::to_string(port_) + "/postgres", kPassword};
}

// ---- a vault -----------------------------------------------------------------------------------

void VaultFixture::SetUp() {
    if (GetParam() == Kind::Postgres) {
        server_ = std::make_unique<PostgresProcess>(dir_.file("server"));
        server_->start();
    }
    std::string message;
    auto made = CredentialKey::create(dir_.file("key"), message);
    ASSERT_TRUE(made.ok()) << message;
    key_ = std::make_unique<CredentialKey>(std::move(made).value());
    one_ = session();
}

CredentialSource VaultFixture::source() const {
    return GetParam() == Kind::Sqlite ? CredentialSource{dir_.file("credentials.db"), {}}
                                      : CredentialSource{"", server_->place()};
}

VaultFixture::Session VaultFixture::session() {
    Session s;
    s.store = make_credentials(source());
    EXPECT_TRUE(s.store->open(CredentialOpen::Create).ok()) << s.store->message();
    s.vault = std::make_unique<CredentialVault>(*s.store, *key_);
    return s;
}

void VaultFixture::lose_the_store() {
    one_ = {};
    if (GetParam() == Kind::Sqlite) {
        ASSERT_TRUE(std::filesystem::remove(source().sqlite_path));
        return;
    }
    const PostgresPlace at = server_->place();
    std::string complaint;
    ASSERT_TRUE(run_tool({{"psql", "-d", at.url, "-c", "DROP SCHEMA millrace CASCADE"},
                          {{"PGPASSWORD", at.password}}},
                         complaint)
                    .ok())
        << complaint;
}

std::string VaultFixture::opened(const std::string& account) {
    const auto found = one_.vault->open(account);
    if (!found) {
        return std::string{to_string(found.code())};
    }
    const auto bytes = found.value().bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace millrace::postgres_test
