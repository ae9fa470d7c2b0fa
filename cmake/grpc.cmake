# Stubs of gRPC services, for the example and its tests: made where protobuf-c and protoc are. The
# library itself needs neither.
find_program(SKUA_PROTOC protoc)
find_program(SKUA_PROTOC_GEN_C protoc-gen-c)
if(PkgConfig_FOUND)
    pkg_check_modules(PROTOBUF_C QUIET IMPORTED_TARGET libprotobuf-c)
endif()
set(skua_grpc_stubs OFF)
if(skua_http2 AND SKUA_PROTOC AND SKUA_PROTOC_GEN_C AND TARGET PkgConfig::PROTOBUF_C)
    set(skua_grpc_stubs ON)
endif()
message(STATUS "Skua: stubs of gRPC services ${skua_grpc_stubs}")

# A library of the messages and the services of a .proto file.
function(skua_grpc_library name proto)
    get_filename_component(folder ${proto} DIRECTORY)
    get_filename_component(base ${proto} NAME_WE)
    set(out ${PROJECT_BINARY_DIR}/grpc/${name})
    file(MAKE_DIRECTORY ${out})
    set(made ${out}/${base}.pb-c.c ${out}/${base}.skua.c)
    add_custom_command(
        OUTPUT ${made} ${out}/${base}.pb-c.h ${out}/${base}.skua.h
        COMMAND ${SKUA_PROTOC} -I ${folder} --plugin=protoc-gen-c=${SKUA_PROTOC_GEN_C}
                --plugin=protoc-gen-skua=${PROJECT_SOURCE_DIR}/tools/gen/protoc-gen-skua
                --c_out=${out} --skua_out=${out} ${proto}
        DEPENDS ${proto} ${PROJECT_SOURCE_DIR}/tools/gen/protoc-gen-skua
        VERBATIM)
    add_library(${name} STATIC ${made})
    target_link_libraries(${name} PUBLIC skua-http skua PkgConfig::PROTOBUF_C
                                  PRIVATE $<BUILD_INTERFACE:skua_flags>)
    target_include_directories(${name} SYSTEM PUBLIC ${out})
endfunction()
