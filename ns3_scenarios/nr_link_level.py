def error_model(ns):
    from . import loader

    return loader.load((), ("nr-error-model.h",)).CreateObject[ns.cosim.NrErrorModel]()
