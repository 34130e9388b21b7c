// The part of the MQL5 API that the Expert Advisor uses, for g++: names, numbers and signatures as
// in the MQL5 reference. Implemented by the host (tests/mt5/api_*.cpp); each call is counted and is
// a place where a test can kill the terminal.
#pragma once

#include "tests/mt5/mql_enums.h"
#include "tests/mt5/mql_types.h"

#include <cmath>

struct MqlTick {
    datetime time = 0;
    double bid = 0;
    double ask = 0;
    double last = 0;
    ulong volume = 0;
    long time_msc = 0;
    uint flags = 0;
    double volume_real = 0;
};
struct MqlTradeRequest {
    ENUM_TRADE_REQUEST_ACTIONS action{};
    ulong magic = 0;
    ulong order = 0;
    string symbol;
    double volume = 0;
    double price = 0;
    double stoplimit = 0;
    double sl = 0;
    double tp = 0;
    ulong deviation = 0;
    ENUM_ORDER_TYPE type{};
    ENUM_ORDER_TYPE_FILLING type_filling{};
    ENUM_ORDER_TYPE_TIME type_time{};
    datetime expiration = 0;
    string comment;
    ulong position = 0;
    ulong position_by = 0;
};
struct MqlTradeResult {
    uint retcode = 0;
    ulong deal = 0;
    ulong order = 0;
    double volume = 0;
    double price = 0;
    double bid = 0;
    double ask = 0;
    string comment;
    uint request_id = 0;
    int retcode_external = 0;
};
struct MqlTradeCheckResult {
    uint retcode = 0;
    double balance = 0;
    double equity = 0;
    double profit = 0;
    double margin = 0;
    double margin_free = 0;
    double margin_level = 0;
    string comment;
};
struct MqlTradeTransaction {
    ulong deal = 0;
    ulong order = 0;
    string symbol;
    ENUM_TRADE_TRANSACTION_TYPE type{};
    ENUM_ORDER_TYPE order_type{};
    ENUM_ORDER_STATE order_state{};
    ENUM_DEAL_TYPE deal_type{};
    double price = 0;
    double volume = 0;
    ulong position = 0;
};

/// Registers an `input` so that the host can set it by name.
struct MqlInput {
    MqlInput(const char* name, string* value);
    MqlInput(const char* name, int* value);
    MqlInput(const char* name, bool* value);
    MqlInput(const char* name, ulong* value);
    template <class E>
        requires std::is_enum_v<E>
    MqlInput(const char* name, E* value) : MqlInput{name, reinterpret_cast<int*>(value)} {}
};

template <class T>
void ZeroMemory(T& value) {
    value = T{};
}

// -- language helpers
template <class A, class B>
std::common_type_t<A, B> MathMax(A a, B b) {
    using C = std::common_type_t<A, B>;
    return static_cast<C>(a) < static_cast<C>(b) ? static_cast<C>(b) : static_cast<C>(a);
}
template <class A, class B>
std::common_type_t<A, B> MathMin(A a, B b) {
    using C = std::common_type_t<A, B>;
    return static_cast<C>(b) < static_cast<C>(a) ? static_cast<C>(b) : static_cast<C>(a);
}
inline double MathRound(double v) {
    return std::round(v);
}
inline double MathAbs(double v) {
    return std::fabs(v);
}
void MathSrand(int seed);
int MathRand();
double NormalizeDouble(double value, int digits);

template <class T>
int ArraySize(const MqlArray<T>& array) {
    return array.size();
}
template <class T>
int ArrayResize(MqlArray<T>& array, int size, int /*reserve*/ = 0) {
    if (size < 0 || array.is_fixed()) {
        return -1;
    }
    array.resize(size);
    return size;
}
template <class T, class V>
int ArrayInitialize(MqlArray<T>& array, V value) {
    for (int i = 0; i < array.size(); ++i) {
        array[i] = static_cast<T>(value);
    }
    return array.size();
}

int StringLen(const string& text);
ushort StringGetCharacter(const string& text, int at);
void StringTrimLeft(string& text);
void StringTrimRight(string& text);
int StringFind(const string& text, const string& part);
int StringSplit(const string& text, ushort separator, MqlArray<string>& parts);
int StringToCharArray(const string& text, MqlArray<uchar>& bytes, int start = 0,
                      int count = WHOLE_ARRAY, uint codepage = CP_ACP);
string CharArrayToString(const MqlArray<uchar>& bytes, int start = 0, int count = WHOLE_ARRAY,
                         uint codepage = CP_ACP);
string IntegerToString(long number);

inline const char* mql_argument(const string& text) {
    return text.c_str();
}
template <class T>
    requires std::is_arithmetic_v<T> || std::is_pointer_v<T> || std::is_enum_v<T>
T mql_argument(T value) {
    return value;
}
template <class... Args>
string StringFormat(const char* format, const Args&... args) {
    char out[1024];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    std::snprintf(out, sizeof out, format, mql_argument(args)...);
#pragma GCC diagnostic pop
    return string{out};
}
void mql_print(const char* kind, const string& text);
template <class... Args>
void PrintFormat(const char* format, const Args&... args) {
    mql_print("print", StringFormat(format, args...));
}
inline string mql_text(const string& text) {
    return text;
}
inline string mql_text(const char* text) {
    return text;
}
template <class... Args>
void Alert(const Args&... args) {
    string all;
    ((all = all + mql_text(args)), ...);
    mql_print("alert", all);
}

// -- program, time
int GetLastError();
void ResetLastError();
bool IsStopped();
void ExpertRemove();
bool EventSetMillisecondTimer(int milliseconds);
void EventKillTimer();
ulong GetMicrosecondCount();
ulong GetTickCount64();
datetime TimeGMT();
datetime TimeLocal();
datetime TimeTradeServer();
long TerminalInfoInteger(int property);
long MQLInfoInteger(int property);

// -- cryptography, files, sockets
int CryptEncode(ENUM_CRYPT_METHOD method, const MqlArray<uchar>& data, const MqlArray<uchar>& key,
                MqlArray<uchar>& result);
int FileOpen(const string& name, int flags);
void FileClose(int handle);
void FileFlush(int handle);
ulong FileSize(int handle);
bool FileSeek(int handle, long offset, int origin);  // SEEK_SET, SEEK_END of <cstdio>
uint FileReadArray(int handle, MqlArray<uchar>& array, int start = 0, int count = WHOLE_ARRAY);
uint FileWriteArray(int handle, const MqlArray<uchar>& array, int start = 0,
                    int count = WHOLE_ARRAY);
bool FileIsExist(const string& name, int common_flag = 0);
bool FileDelete(const string& name, int common_flag = 0);
int SocketCreate(uint flags = SOCKET_DEFAULT);
bool SocketConnect(int socket, const string& server, uint port, uint timeout_ms);
bool SocketClose(int socket);
bool SocketTimeouts(int socket, uint send_ms, uint receive_ms);
bool SocketIsConnected(int socket);
uint SocketIsReadable(int socket);
bool SocketIsWritable(int socket);
int SocketRead(int socket, MqlArray<uchar>& buffer, uint bytes_max, uint timeout_ms);
int SocketSend(int socket, const MqlArray<uchar>& buffer, uint bytes);

// -- account, symbols
long AccountInfoInteger(int property);
double AccountInfoDouble(int property);
string AccountInfoString(int property);
bool SymbolSelect(const string& symbol, bool select);
long SymbolInfoInteger(const string& symbol, int property);
double SymbolInfoDouble(const string& symbol, int property);
string SymbolInfoString(const string& symbol, int property);
bool SymbolInfoTick(const string& symbol, MqlTick& tick);
int CopyTicks(const string& symbol, MqlArray<MqlTick>& ticks, uint flags, ulong from, uint count);

// -- trade
bool OrderCheck(const MqlTradeRequest& request, MqlTradeCheckResult& result);
bool OrderSend(const MqlTradeRequest& request, MqlTradeResult& result);
bool OrderSendAsync(const MqlTradeRequest& request, MqlTradeResult& result);
int OrdersTotal();
ulong OrderGetTicket(int index);
bool OrderSelect(ulong ticket);
long OrderGetInteger(int property);
double OrderGetDouble(int property);
string OrderGetString(int property);
int PositionsTotal();
ulong PositionGetTicket(int index);
bool PositionSelectByTicket(ulong ticket);
long PositionGetInteger(int property);
double PositionGetDouble(int property);
string PositionGetString(int property);
bool HistorySelect(datetime from, datetime to);
bool HistorySelectByPosition(long position_id);
bool HistoryOrderSelect(ulong ticket);
bool HistoryDealSelect(ulong ticket);
int HistoryOrdersTotal();
ulong HistoryOrderGetTicket(int index);
long HistoryOrderGetInteger(ulong ticket, int property);
double HistoryOrderGetDouble(ulong ticket, int property);
string HistoryOrderGetString(ulong ticket, int property);
int HistoryDealsTotal();
ulong HistoryDealGetTicket(int index);
long HistoryDealGetInteger(ulong ticket, int property);
double HistoryDealGetDouble(ulong ticket, int property);
string HistoryDealGetString(ulong ticket, int property);
