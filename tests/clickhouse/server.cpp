#include "tests/clickhouse/server.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace millrace::clickhouse_test {
namespace {

constexpr const char* kUser = "desk";
constexpr const char* kPassword = "its-secret";

std::string variable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

}  // namespace

ClickHouseProcess::ClickHouseProcess(std::string directory) : directory_{std::move(directory)} {
    foreign_.url = variable("MILLRACE_CLICKHOUSE_URL");
    foreign_.user = variable("MILLRACE_CLICKHOUSE_USER");
    foreign_.password = variable("MILLRACE_CLICKHOUSE_PASSWORD");
    if (is_foreign()) {
        port_ = static_cast<std::uint16_t>(
            std::stoul(foreign_.url.substr(foreign_.url.rfind(':') + 1)));
    } else {
        port_ = quiet_.number();
        write_files();
    }
}

ClickHouseProcess::~ClickHouseProcess() {
    kill();
}

void ClickHouseProcess::write_files() const {
    for (const char* folder : {"data", "tmp", "user_files", "format_schemas"}) {
        std::filesystem::create_directories(directory_ + "/" + folder);
    }
    const std::string d = directory_;
    // <yandex> is what 18.16 asks for; modern servers take it too.
    std::ofstream{d + "/config.xml"}
        << "<yandex><logger><level>warning</level><console>1</console></logger>"
        << "<listen_host>127.0.0.1</listen_host><http_port>" << port_ << "</http_port>"
        << "<path>" << d << "/data/</path><tmp_path>" << d << "/tmp/</tmp_path>"
        << "<user_files_path>" << d << "/user_files/</user_files_path><format_schema_path>" << d
        << "/format_schemas/</format_schema_path><users_config>" << d << "/users.xml</users_config>"
        << "<default_profile>default</default_profile><default_database>default</default_database>"
        << "<timezone>UTC</timezone><mark_cache_size>67108864</mark_cache_size>"
        << "<keep_alive_timeout>10</keep_alive_timeout></yandex>\n";
    std::ofstream{d + "/users.xml"}
        << "<yandex><profiles><default/></profiles><quotas><default/></quotas><users><" << kUser
        << "><password>" << kPassword << "</password><networks><ip>127.0.0.1</ip></networks>"
        << "<profile>default</profile><quota>default</quota></" << kUser << "></users></yandex>\n";
}

ClickHouseServer ClickHouseProcess::at() const {
    if (is_foreign()) {
        return foreign_;
    }
    ClickHouseServer server;
    server.url = "http://127.0.0.1:" + std::to_string(port_);
    server.user = kUser;
    server.password = kPassword;
    return server;
}

std::string ClickHouseProcess::configured(const std::string& database) const {
    const std::string password = directory_ + "/password";
    std::ofstream{password} << at().password << "\n";
    EXPECT_EQ(::chmod(password.c_str(), 0600), 0);
    return R"("clickhouse": {"url": ")" + at().url + R"(", "user": ")" + at().user +
           R"(", "password_file": ")" + password + R"(", "database": ")" + database + "\"}";
}

void ClickHouseProcess::start() {
    if (is_foreign()) {
        return;
    }
    ASSERT_LT(pid_, 0);
    const std::string config = "--config-file=" + directory_ + "/config.xml";
    const std::string log = directory_ + "/log";
    pid_ = ::fork();
    if (pid_ == 0) {
        ::setsid();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(out, 1);
        ::dup2(out, 2);
        ::setenv("TZ", "UTC", 1);  // 18.16 does not find its way without
        for (const char* program : {"/usr/bin/clickhouse-server", "/usr/sbin/clickhouse-server"}) {
            ::execl(program, program, config.c_str(), nullptr);
        }
        ::_exit(127);  // no such program: tools/setup installs it
    }
    ASSERT_TRUE(eventually([this] {
        ClickHouseHttp http{at()};
        return http.query("SELECT 1").ok();
    })) << "clickhouse-server does not answer:\n"
        << this->log();
}

void ClickHouseProcess::kill() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
    }
}

void ClickHouseProcess::signal(int number) const {
    ASSERT_GT(pid_, 0);
    ::kill(pid_, number);
}

std::string ClickHouseProcess::log() const {
    std::ifstream in{directory_ + "/log"};
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

std::string ClickHouseProcess::ask(const std::string& sql) const {
    ClickHouseServer server = at();
    server.answer = seconds(60);
    ClickHouseHttp http{server};
    auto answer = http.query(sql);
    EXPECT_TRUE(answer.ok()) << sql << "\n" << http.message();
    std::string text = answer.ok() ? answer.value() : "";
    if (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    return text;
}

}  // namespace millrace::clickhouse_test
